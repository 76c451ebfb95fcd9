"""Shelly Plus Plug S: ESP32, BL0937, relay, button, two RGB LEDs. Source: esphome-devices."""

BOARD = {
    "name": "shelly_plus_plug_s",
    "title": "Shelly Plus Plug S",
    "chip": "esp32",
    "flash": "4MiB",
    "rating": {"voltage_v": 230, "current_ma": 10000, "power_w": 2300},
    "pins": {"relay": 4, "button": 9, "cf": 10, "cf1": 22, "sel": 19, "led": 25, "led_2": 26, "temperature": 33},
    "inverted": ("sel",),
    "uart": None,
    "meter": {"type": "bl0937", "chip": "bl0937", "shunt_uohm": 1000, "divider": 1830, "power_max_w": 2300},
    "verified": "pins and constants read in public configurations; not measured here",
}
