"""Boards: one file each, plain values only, so that a host can read them as well. `BOARD` has

    name, title, chip                   the file's name, what people call it, esp32 | esp32c3 | esp32s3
    flash                               a key of LAYOUTS
    rating                              voltage_v, current_ma, power_w: what the board may carry
    pins                                by role, GPIO numbers; a role in `inverted` is active low
    uart                                {"id", "rx", "tx"} where the meter is on one; None
    meter                               the `meter` that device.json begins with: driver, calibration defaults
    verified                            what was seen on real hardware, and what was only read in public files

A device has one board; only that one's file is on it.
"""

_KIB = 1024

# (name, type, offset, size). Two slots for updates; `journal` is a raw ring of 30 days and more (node/flashlog.py),
# `vfs` holds keys, configuration and the registers: with 4 MiB the modules must be frozen into the image.
# The bootloader and the table itself lie below 0x9000 (ESP32: 0x1000 and 0x8000).
LAYOUTS = {
    "4MiB": (
        ("nvs", "data", 0x9000, 16 * _KIB),
        ("otadata", "data", 0xD000, 8 * _KIB),
        ("phy_init", "data", 0xF000, 4 * _KIB),
        ("ota_0", "app", 0x10000, 1536 * _KIB),
        ("ota_1", "app", 0x190000, 1536 * _KIB),
        ("journal", "data", 0x310000, 768 * _KIB),
        ("vfs", "data", 0x3D0000, 192 * _KIB),
    ),
    "8MiB": (
        ("nvs", "data", 0x9000, 16 * _KIB),
        ("otadata", "data", 0xD000, 8 * _KIB),
        ("phy_init", "data", 0xF000, 4 * _KIB),
        ("ota_0", "app", 0x10000, 2496 * _KIB),
        ("ota_1", "app", 0x280000, 2496 * _KIB),
        ("journal", "data", 0x4F0000, 1024 * _KIB),
        ("vfs", "data", 0x5F0000, 2112 * _KIB),
    ),
}


def find(name):
    """The board of this name; ImportError if its file is not here."""
    return __import__("boards." + name, None, None, [name]).BOARD
