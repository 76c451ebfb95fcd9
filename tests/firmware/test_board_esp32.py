"""The chip's board on paper: two image slots under ESP-IDF's rules (trial, confirmation, roll-back), pins, radio.

Not a chip: `esp32`, `machine` and `network` are modelled from their documentation and MicroPython's sources, so that
the order of what we ask of them is tested at least. The file system is MicroPython's own.
"""

import hashlib
import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
from blocks import Blocks
from node.cell import Cell
from node.update import TRIES_MAX, Update

from commonwatt import cbor, cose
from commonwatt.identity import SigningKey

FIRMWARE = Path(__file__).parents[2] / "firmware"
BOARD = FIRMWARE / "board_esp32.py"
MICROPYTHON = Path(sys.executable).parent / "micropython"
FILES_ON_FLASH = Path(__file__).parent / "both" / "files_on_flash.py"
KEY = SigningKey.from_seed(bytes([5]) * 32)
GENESIS = bytes(32)
LEVELS = []  # what pins were driven to: (number, level)
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

    return _load({"esp32": {"Partition": Partition, "NVS": NVS}})


def _load(fakes, chip="paper with ESP32"):
    """board_esp32.py on a chip with these modules' contents."""
    fakes = {name: fakes.get(name, {}) for name in ("esp32", "machine", "micropython", "network")}
    before = {name: sys.modules.get(name) for name in fakes}
    sys.implementation._machine = chip
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


@pytest.mark.parametrize(
    ("chip", "register"),
    [
        ("Generic ESP32 module with ESP32", 0x3FF48034),
        ("Generic ESP32 module with ESP32-UNICORE", 0x3FF48034),
        ("Generic ESP32S3 module with ESP32S3", 0x60008038),
        ("ESP32C3 module with ESP32C3", 0x60008038),
    ],
)
def test_cause(chip, register):
    """MicroPython calls a brown-out power; the chip does not, whether it or ESP-IDF's interrupt started it again."""
    machine = {"PWRON_RESET": 1, "HARD_RESET": 2, "WDT_RESET": 3, "DEEPSLEEP_RESET": 4, "SOFT_RESET": 5, "mem32": {}}
    board = _load({"machine": machine}, chip)
    found = {}
    for reset, number in ((1, 1), (1, 15), (1, 12), (2, 12), (3, 12), (5, 1), (4, 5), (0, 21)):
        sys.modules["machine"] = board.machine
        board.machine.reset_cause = lambda reset=reset: reset
        board.machine.mem32 = {register: 0xFFC0 | number}
        found[reset, number] = board.cause()
    del sys.modules["machine"]
    assert found == {
        (1, 1): "power",
        (1, 15): "brownout",
        (1, 12): "brownout",
        (2, 12): "reset",
        (3, 12): "watchdog",
        (5, 1): "reset",
        (4, 5): "other",
        (0, 21): "other",
    }


class Pin:
    """A pin as MicroPython makes it: without a mode it is left alone, with one it takes the level it was given."""

    OUT = 3

    def __init__(self, number, mode=None, **settings):
        self.number = number
        if mode is not None:
            self.init(mode, **settings)

    def init(self, mode, value=None, hold=None):
        assert (mode, hold) == (Pin.OUT, True)
        LEVELS.append((self.number, value))


def test_switch_when_the_device_starts():
    """A relay that was held through the restart is given no level but the one it is to have."""
    LEVELS.clear()
    move = _load({"machine": {"Pin": Pin}}).switch({"board": "esp32c3_plug_cse7766"})
    assert LEVELS == []
    move(True)
    move(False)
    assert LEVELS == [(5, True), (5, False)]


@pytest.mark.parametrize("is_on", [(False, False), (True, False), (False, True)])
def test_urandom(is_on):
    """The radio is on while a key is drawn, and afterwards as it was."""
    history = []

    class Wlan:
        def __init__(self, side):
            self.side = side

        def active(self, on=None):
            if on is not None:
                history.append((self.side, on))
            return is_on[self.side]

    board = _load({"network": {"WLAN": Wlan, "STA_IF": 0, "AP_IF": 1}})
    drawn = {board.urandom(16) for _ in range(2)}
    assert len(drawn) == 2
    assert all(len(data) == 16 for data in drawn)
    assert history == ([(0, True), (0, False)] * 2 if not any(is_on) else [])


def test_files_when_a_plug_has_kept_all_it_keeps():
    """Half of the smallest layout's file system is free, or a file could not be written anew elsewhere."""
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=8M", FILES_ON_FLASH, FIRMWARE], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["blocks"] == 48
    assert found["used"] <= found["blocks"] // 2
    assert found["erased"] < 60  # of 2800 saves: far fewer than one for each
