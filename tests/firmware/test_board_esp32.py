"""The chip's two image slots under a boot loader of paper that keeps ESP-IDF's rules: trial, confirmation, roll-back.

Not a chip: `esp32` is modelled from its documentation (Partition, NVS, roll-back enabled), so that the order of what
we ask of it is tested at least.
"""

import hashlib
import importlib.util
import sys
import types
from pathlib import Path

import pytest
from blocks import Blocks
from node.cell import Cell
from node.update import TRIES_MAX, Update

from commonwatt import cbor, cose
from commonwatt.identity import SigningKey

BOARD = Path(__file__).parents[2] / "firmware" / "board_esp32.py"
KEY = SigningKey.from_seed(bytes([5]) * 32)
GENESIS = bytes(32)
OLD, NEW = b"\x07" * 5000, b"\x08" * 5000


class PowerCutError(Exception):
    """Nothing after this happens."""


class Chip:
    """What survives the power: two partitions, the boot loader's states, NVS. `cuts` is after how many writes."""

    def __init__(self):
        self.flash = [bytearray(OLD.ljust(65536, b"\xff")), bytearray(b"\xff" * 65536)]
        self.states = ["valid", "none"]
        self.boot = self.running = 0
        self.notes = {}
        self.cell = Blocks(2, 64)
        self.left = None

    def wrote(self):
        if self.left is not None:
            if self.left == 0:
                raise PowerCutError
            self.left -= 1

    def start(self):
        """What ESP-IDF's boot loader does, then what the image does: an update that looks at its slots."""
        if self.states[self.boot] == "pending":
            self.states[self.boot] = "aborted"
            self.boot = 1 - self.boot
        elif self.states[self.boot] == "new":
            self.states[self.boot] = "pending"
        self.running = self.boot
        slots = _board(self).slots({})
        number = self.flash[self.running][0]
        return Update(Cell(self.cell), slots, "esp32_tic", number, KEY.public_key, GENESIS)


def _board(chip):
    """board_esp32.py on this chip."""

    class Partition:
        RUNNING, TYPE_DATA = object(), 1

        def __init__(self, which):
            self.index = chip.running if which is Partition.RUNNING else which

        def get_next_update(self):
            return Partition(1 - self.index)

        def info(self):
            return (0, 16 + self.index, 0x10000 + 0x180000 * self.index, 65536, f"ota_{self.index}", False)

        def readblocks(self, block, buffer, offset=0):
            at = 4096 * block + offset
            buffer[:] = chip.flash[self.index][at : at + len(buffer)]

        def writeblocks(self, block, data):
            chip.wrote()
            chip.flash[self.index][4096 * block : 4096 * block + len(data)] = data

        def set_boot(self):
            chip.wrote()
            chip.boot, chip.states[self.index] = self.index, "new"

        @staticmethod
        def mark_app_valid_cancel_rollback():
            chip.wrote()
            chip.states[chip.running] = "valid"

    class NVS:
        def __init__(self, _name):
            self._notes = dict(chip.notes)

        def get_i32(self, name):
            if name not in self._notes:
                raise OSError(-4354)
            return self._notes[name]

        def set_i32(self, name, value):
            self._notes[name] = value

        def commit(self):
            chip.wrote()
            chip.notes = self._notes

    fakes = {"esp32": {"Partition": Partition, "NVS": NVS}, "machine": {}, "micropython": {}, "network": {}}
    before = {name: sys.modules.get(name) for name in fakes}
    sys.implementation._machine = "paper with ESP32"
    try:
        for name, content in fakes.items():
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(content)
        spec = importlib.util.spec_from_file_location("board_esp32", BOARD)
        board = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(board)
        return board
    finally:
        del sys.implementation._machine
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _install(update, image=NEW):
    payload = cbor.encode([1, "esp32_tic", image[0], len(image), hashlib.sha256(image).digest()])
    assert update.begin(cose.sign1(payload, KEY, cose.external_aad("update", GENESIS))) == 0
    for at in range(0, len(image), 1000):
        assert update.feed(image[at : at + 1000]) == 0
    return update.finish()


def test_slots_when_an_update_is_good():
    """It is on trial once, and stays when confirmed."""
    chip = Chip()
    assert chip.start().is_trial is False
    assert _install(chip.start()) == 0
    update = chip.start()
    assert (update.number, update.is_trial) == (8, True)
    update.confirm()
    for _ in range(2):
        update = chip.start()
        assert (update.number, update.is_trial, update.rollbacks) == (8, False, 0)


def test_slots_when_an_update_is_rolled_back():
    """The old image is on no trial, though the note of the other's is still there; three tries are enough."""
    chip = Chip()
    for tries in range(1, TRIES_MAX + 1):
        assert _install(chip.start()) == 0
        assert chip.start().is_trial is True
        update = chip.start()
        assert (update.number, update.is_trial, update.rollbacks) == (7, False, tries)
    with pytest.raises(AssertionError):
        _install(chip.start())
    assert chip.start().number == 7


def test_slots_when_the_power_is_cut_in_every_write():
    """Whatever runs is a whole image, an image on trial knows it, and the update ends well."""
    for after in range(20):
        chip = Chip()
        chip.left = after
        try:
            _install(chip.start())
            chip.start().confirm()
            break
        except PowerCutError:
            chip.left = None
        for _ in range(3):
            update = chip.start()
            assert update.is_trial == (chip.states[chip.running] == "pending") or chip.states[chip.running] == "valid"
            assert bytes(chip.flash[chip.running][:5000]) in (OLD, NEW)
            if update.is_trial:
                update.confirm()
            elif update.number == 7:
                _install(update)
        assert chip.start().number == 8
    assert after > 3
