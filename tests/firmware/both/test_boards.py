"""Boards: plain, complete, and flash layouts that fit."""

import boards
import meters
from node.flashlog import SAMPLE_SECTORS, SECTOR, days_offline

from wires import Bench

NAMES = (
    "shelly_plus_plug_s",
    "esp32c3_plug_bl0942",
    "esp32c3_plug_cse7766",
    "esp32_rs485",
    "esp32_tic",
    "esp32s3_rs485",
)
# By chip: the highest GPIO, those that lead to the flash or do not exist, the first that can only listen.
PINS = {
    "esp32": (39, (6, 7, 8, 11, 20, 24, 28, 29, 30, 31), 34),
    "esp32c3": (21, (11, 12, 13, 14, 15, 16, 17), 22),
    "esp32s3": (48, (22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32), 49),
}
SPEAKING = ("relay", "led", "led_2", "de", "sel", "tx")
FLASH = {"4MiB": 4 << 20, "8MiB": 8 << 20}
KEYS = ["chip", "flash", "inverted", "meter", "name", "pins", "rating", "title", "uart", "verified"]


def test_boards():
    """Every board says all there is to say; no pin has two roles; what is inverted is a pin."""
    for name in NAMES:
        board = boards.find(name)
        assert sorted(board) == KEYS, name
        assert board["name"] == name
        wires = board["uart"] or {}
        pins = list(board["pins"].values()) + [wires[role] for role in ("rx", "tx") if wires.get(role) is not None]
        assert len(pins) == len(set(pins)), name
        assert all(role in board["pins"] for role in board["inverted"]), name


def test_pins_of_the_boards():
    """Every pin exists on the board's chip and is free; what we drive can be driven. A rating fits its own plug."""
    for name in NAMES:
        board = boards.find(name)
        highest, taken, listening = PINS[board["chip"]]
        wires = board["uart"] or {}
        pins = list(board["pins"].items()) + [
            (role, wires[role]) for role in ("rx", "tx") if wires.get(role) is not None
        ]
        for role, pin in pins:
            assert 0 <= pin <= highest, (name, role)
            assert pin not in taken, (name, role)
            assert role not in SPEAKING or pin < listening, (name, role)
        rating = board["rating"]
        assert ("relay" in board["pins"]) == (rating is not None), name
        if rating:
            assert rating["power_w"] * 1000 == rating["voltage_v"] * rating["current_ma"], name


def test_every_board_is_here():
    """A file of firmware/boards that describes a board is in NAMES."""
    import os

    files = [name[:-3] for name in os.listdir("firmware/boards") if name.endswith(".py")]
    assert sorted(NAMES) == sorted([name for name in files if name not in ("__init__", "hardware")])


def test_meters_of_the_boards():
    """Each board's meter can be made from what the board says, and rates its plug as the plug is rated."""
    for name in NAMES:
        board = boards.find(name)
        meter = meters.make(board["meter"], None, Bench())
        assert meter.poll() > 0
        if board["rating"]:
            assert board["meter"]["power_max_w"] == board["rating"]["power_w"]


def test_flash_layouts():
    """Partitions follow each other within the chip; slots for updates are alike and lie on 64 KiB."""
    for name, partitions in boards.LAYOUTS.items():
        end = 0x9000
        for _name, _kind, offset, size in partitions:
            assert offset == end or offset == 0x10000
            assert offset >= end
            assert size % 4096 == 0
            end = offset + size
        assert end == FLASH[name]
        journal = next(size for label, _kind, _offset, size in partitions if label == "journal") // SECTOR
        # 15 readings of two registers that grow by less than 65 kWh a step: 196 bytes, signature included.
        assert days_offline(journal - SAMPLE_SECTORS, 196, 900) >= 30
        slots = [(offset, size) for _name, kind, offset, size in partitions if kind == "app"]
        assert len(slots) == 2
        assert slots[0][1] == slots[1][1]
        assert all(offset % 0x10000 == 0 for offset, _size in slots)
