"""Any ESP32 with an RS-485 transceiver, for the meters of hardware/meters. The pins are ours: UART2's own."""

BOARD = {
    "name": "esp32_rs485",
    "title": "ESP32 with RS-485",
    "chip": "esp32",
    "flash": "4MiB",
    "rating": None,
    "pins": {"button": 0, "led": 2, "de": 4},
    "inverted": ("button",),
    "uart": {"id": 2, "rx": 16, "tx": 17},
    "meter": {"type": "modbus", "table": "schneider-iem3155", "unit": 1, "baud": 9600, "parity": "N"},
    "verified": "chosen by us; `de` is the transceiver's driver enable where it does not switch by itself",
}
