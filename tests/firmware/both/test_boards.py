"""Boards: plain, complete, and flash layouts that fit."""

import boards
import meters

from wires import Bench

NAMES = ("shelly_plus_plug_s", "esp32c3_plug_bl0942", "esp32c3_plug_cse7766", "esp32_rs485", "esp32_tic")
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
        slots = [(offset, size) for _name, kind, offset, size in partitions if kind == "app"]
        assert len(slots) == 2
        assert slots[0][1] == slots[1][1]
        assert all(offset % 0x10000 == 0 for offset, _size in slots)
