"""Any ESP32 with a TIC adapter (optocoupler or comparator) on the Linky's I1 and I2. The pins are UART2's own."""

BOARD = {
    "name": "esp32_tic",
    "title": "ESP32 with TIC adapter",
    "chip": "esp32",
    "flash": "4MiB",
    "rating": None,
    "pins": {"button": 0, "led": 2},
    "inverted": ("button",),
    "uart": {"id": 2, "rx": 16, "tx": None},
    "meter": {"type": "linky", "mode": "auto"},
    "verified": "chosen by us; the adapter must invert so that the line rests high",
}
