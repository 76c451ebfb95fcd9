"""The machine we run on: an ESP32, S3 or C3. The build puts this file on the device as board.py.

Not run on hardware yet (docs/operating/firmware.md says what was and what was not); the rules it leans on are tested
on Unix with `node.slots`, which keeps to the same order of events as ESP-IDF's boot loader.
"""

import asyncio
import json
import os
import random as _random
import sys

import esp32
import machine
import micropython
import network
from node.blockfiles import BlockFiles

VERSION = 1  # of this image; an update must have a greater one
WIFI = True  # whether a person has to tell us a network
STATUS_MS = 60000  # how often the status may be shown
TIME = {"server": "pool.ntp.org"}  # the configuration's `time` where it says nothing

_FLASH_BLOCK = 4096
_SECTORS = 192
# RTC_CNTL_RESET_STATE_REG: its lowest six bits say why the first core was reset (ESP-IDF, soc/rtc_cntl_reg.h). The
# plain ESP32 has it elsewhere; some of them are called "with ESP32-UNICORE" or the like.
_RESET_STATE = 0x60008038 if sys.implementation._machine[-2:] in ("S3", "C3") else 0x3FF48034
_POWER_ON = 1


def urandom(size):
    """Random bytes, for keys too: the radio is on meanwhile, for without its noise the chip promises no true ones."""
    radios = [network.WLAN(side) for side in (network.STA_IF, network.AP_IF)]
    is_silent = not any(radio.active() for radio in radios)
    if is_silent:
        radios[0].active(True)
    try:
        return os.urandom(size)
    finally:
        if is_silent:
            radios[0].active(False)


def random():
    """A float from 0 to below 1 for jitter, never for keys."""
    return _random.random()


def seed_random():
    """Make jitter differ between devices that boot together."""
    _random.seed(int.from_bytes(os.urandom(4), "big"))


def make_folder(path):
    """Make a folder if it is missing; its parent is there."""
    try:
        os.mkdir(path)
    except OSError:
        pass


def write_status(_path, state):
    """Show the status on the console, where `commonwatt device monitor` reads it: flash is not worn for it."""
    print(json.dumps(state))


def blocks(config, name, count=4):
    """A block device of this name for one durable value."""
    return BlockFiles(config["state_dir"] + "/" + name, count)


def journal(config):
    """The flash of the journal: its own partition, or on an image without one a file for each sector."""
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="journal")
    if found:
        return found[0]
    from node.sectorfiles import SectorFiles

    return SectorFiles(config["state_dir"] + "/journal", _SECTORS)


def cause():
    """Why we start, one of node.health.CAUSES."""
    reset = machine.reset_cause()
    if reset == machine.PWRON_RESET:
        # MicroPython calls a brown-out the same. Whether ESP-IDF noticed it and restarted by software, or the chip
        # reset itself: the register has another number.
        return "power" if machine.mem32[_RESET_STATE] & 0x3F == _POWER_ON else "brownout"
    causes = {machine.WDT_RESET: "watchdog", machine.SOFT_RESET: "reset", machine.HARD_RESET: "reset"}
    return causes.get(reset, "other")


def watchdog(timeout_ms):
    """A function to call at least every `timeout_ms`, or we are started again. Called again it takes another time."""
    return machine.WDT(timeout=timeout_ms).feed


def button(config):
    """A function that says whether the button is down, None without one."""
    import boards

    board = boards.find(config["board"])
    if "button" not in board["pins"]:
        return None
    inverted = "button" in board["inverted"]
    pin = machine.Pin(board["pins"]["button"], machine.Pin.IN, machine.Pin.PULL_UP if inverted else None)
    return lambda: bool(pin.value()) != inverted


def has_relay(config):
    """Whether there is a relay to move."""
    import boards

    return "relay" in boards.find(config["board"])["pins"]


class PartitionSlots:
    """The two application partitions under ESP-IDF's boot loader, as node/update.py wants them."""

    def __init__(self):
        running = esp32.Partition(esp32.Partition.RUNNING)
        self._other = running.get_next_update()
        self.size = self._other.info()[3]
        self._here = running.info()[2]
        self.is_trial = _trial_at() == self._here
        self._tail = b""
        self._block = 0

    def write(self, offset, data):
        """Bytes of the other partition, offsets ascending; a block is erased as it is written."""
        if offset == 0:
            self._tail, self._block = b"", 0
        self._tail += data
        while len(self._tail) >= _FLASH_BLOCK:
            self._write_block(self._tail[:_FLASH_BLOCK])
            self._tail = self._tail[_FLASH_BLOCK:]

    def flush(self):
        """Write what does not fill a block."""
        if self._tail:
            self._write_block(self._tail + b"\xff" * (_FLASH_BLOCK - len(self._tail)))
            self._tail = b""

    def read(self, offset, size):
        """Bytes of the other partition."""
        data = bytearray(size)
        self._other.readblocks(offset // _FLASH_BLOCK, data, offset % _FLASH_BLOCK)
        return data

    def try_other(self):
        """Start the other partition next time, on trial."""
        _note_trial(self._other.info()[2])  # first: an image that does not know of its trial never ends it
        self._other.set_boot()

    def confirm(self):
        """What runs now is good: ESP-IDF does not go back any more."""
        esp32.Partition.mark_app_valid_cancel_rollback()
        _note_trial(0)
        self.is_trial = False

    def _write_block(self, block):
        self._other.writeblocks(self._block, block)
        self._block += 1


def slots(_config):
    """Where updates go."""
    return PartitionSlots()


class Radio:
    """The chip's Wi-Fi: an access point for the set-up, a station in the home's network; both at once."""

    http_port = 80
    dns_port = 53

    def __init__(self):
        self._point = network.WLAN(network.AP_IF)
        self._station = network.WLAN(network.STA_IF)

    def open(self, name, password):
        """Open an access point (WPA2); our address in it, 4 bytes."""
        self._point.active(True)
        self._point.config(ssid=name, security=network.AUTH_WPA2_PSK, key=password, max_clients=4)
        return bytes([int(part) for part in self._point.ifconfig()[0].split(".")])

    def close(self):
        """Close it."""
        self._point.active(False)

    def join(self, name, password):
        """Begin to join a network. OSError: it cannot be begun."""
        self._station.active(True)
        self._station.connect(name, password or None)

    def leave(self):
        """Leave it, or give up joining it."""
        try:
            self._station.disconnect()
        except OSError:
            pass  # it was in none
        self._station.active(False)

    def is_up(self):
        """Whether we have joined and have an address."""
        return self._station.isconnected()

    def address(self):
        """That address."""
        return self._station.ifconfig()[0]

    def level_dbm(self):
        """How well the network is heard; 0: the driver does not say."""
        try:
            return self._station.status("rssi")
        except (OSError, ValueError, TypeError):
            return 0


def radio(_config):
    """The radio, off."""
    return Radio()


class Cable:
    """The console's line; nobody looks for Ctrl-C in it until it is closed, for an Improv packet has such a byte."""

    def __init__(self):
        micropython.kbd_intr(-1)
        self._reader = asyncio.StreamReader(sys.stdin.buffer)

    async def read(self):
        """One byte, or none at the end."""
        return await self._reader.read(1)

    def write(self, data):
        """Bytes, as they are."""
        sys.stdout.buffer.write(data)

    def close(self):
        """The cable is the prompt's again."""
        micropython.kbd_intr(3)


def cable():
    """The line that a person's cable leads to, from now on ours."""
    return Cable()


def hardware(config):
    """What meter drivers ask for, by the board's description."""
    import boards
    from boards.hardware import Hardware

    return Hardware(boards.find(config["board"]), machine, config["state_dir"])


def switch(config):
    """A function of (is_on) that moves the relay. `hold` keeps the pin through a restart."""
    import boards

    board = boards.find(config["board"])
    inverted = "relay" in board["inverted"]
    pin = machine.Pin(board["pins"]["relay"])  # as it was held: with a mode, the relay would drop at each start

    def move(is_on):
        pin.init(machine.Pin.OUT, value=bool(is_on) != inverted, hold=True)

    return move


def restart():
    """Start again, through the boot loader."""
    machine.reset()


def _trial_at():
    """Where the image on trial lies, 0 without one. MicroPython cannot ask the boot loader, so the old one notes it.

    An address, not a flag: after a roll-back the note is still there, and must not put the old image on trial.
    """
    try:
        return esp32.NVS("commonwatt").get_i32("trial")
    except OSError:
        return 0


def _note_trial(address):
    notes = esp32.NVS("commonwatt")
    notes.set_i32("trial", address)
    notes.commit()
