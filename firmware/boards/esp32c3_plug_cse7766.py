"""A plug with ESP32-C3 and CSE7766: the pins of the Athom plug V3. Source: the maker's ESPHome configuration."""

BOARD = {
    "name": "esp32c3_plug_cse7766",
    "title": "ESP32-C3 plug with CSE7766 (Athom plug V3)",
    "chip": "esp32c3",
    "flash": "4MiB",
    "rating": {"voltage_v": 230, "current_ma": 16000, "power_w": 3680},
    "pins": {"relay": 5, "button": 3, "led": 6},
    "inverted": ("button", "led"),
    "uart": {"id": 1, "rx": 20, "tx": None},
    "meter": {"type": "cse7766", "power_max_w": 3680},
    "verified": "pins read in public configurations; not measured here; MicroPython drives GPIO 10 as the UART's TX",
}
