"""Any ESP32-S3 of 8 MB with an RS-485 transceiver, for the meters of hardware/meters. The pins are UART1's own."""

BOARD = {
    "name": "esp32s3_rs485",
    "title": "ESP32-S3 with RS-485",
    "chip": "esp32s3",
    "flash": "8MiB",
    "rating": None,
    "pins": {"button": 0, "de": 21},
    "inverted": ("button",),
    "uart": {"id": 1, "rx": 18, "tx": 17},
    "meter": {"type": "modbus", "table": "schneider-iem3155", "unit": 1, "baud": 9600, "parity": "N"},
    "verified": "chosen by us; `de` is the transceiver's driver enable where it does not switch by itself",
}
