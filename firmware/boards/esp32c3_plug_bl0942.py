"""A plug with ESP32-C3 and BL0942: the pins of the Shelly Plug S Gen3. Source: its public ESPHome configuration."""

BOARD = {
    "name": "esp32c3_plug_bl0942",
    "title": "ESP32-C3 plug with BL0942 (Shelly Plug S Gen3)",
    "chip": "esp32c3",
    "flash": "8MiB",
    "rating": {"voltage_v": 230, "current_ma": 10000, "power_w": 2300},
    "pins": {"relay": 4, "button": 18, "led": 5, "temperature": 3},
    "inverted": (),
    "uart": {"id": 1, "rx": 6, "tx": 7},
    "meter": {"type": "bl0942", "address": 0, "power_max_w": 2300},
    "verified": "pins read in public configurations; not measured here",
}
