"""The machine we run on: the only module that may know it. This is Unix; a chip's board has the same functions."""

import asyncio
import json
import os
import random as _random
import select
import sys

from node import port

urandom = os.urandom


def random():
    """A float from 0 to below 1 for jitter, never for keys."""
    return _random.random()


def seed_random():
    """Make jitter differ between devices that boot together."""
    _random.seed(int.from_bytes(urandom(4), "big"))


VERSION = 1  # of this image; an update must have a greater one
WIFI = False  # whether a person has to tell us a network
STATUS_MS = 1000  # how often the status may be written
TIME = None  # the configuration's `time` where it says nothing: here the time stays unknown
_LINE_BUFFER = 1024
JOURNAL_SECTORS = 192  # as many as a chip of 4 MB has: boards/__init__.py


class FileBlocks:
    """A block device in a file, as a partition of flash is one: for `node.cell.Cell` and `node.slots.Slots`."""

    def __init__(self, path, count, size):
        self._path = path
        self._count = count
        self._size = size
        try:
            open(path, "rb").close()
        except OSError:
            with open(path, "wb") as file:
                for _ in range(count):
                    file.write(b"\xff" * size)

    def ioctl(self, request, _argument):
        """4: how many blocks; 5: how large."""
        return {4: self._count, 5: self._size}.get(request)

    def readblocks(self, number, buffer):
        """Fill `buffer` from a block."""
        with open(self._path, "rb") as file:
            file.seek(number * self._size)
            data = file.read(len(buffer))
        buffer[: len(data)] = data

    def writeblocks(self, number, buffer):
        """Replace a block; durable on return."""
        with open(self._path, "r+b") as file:
            file.seek(number * self._size)
            file.write(buffer)
            port.sync(file)


def blocks(config, name, count=4):
    """A block device of this name for one durable value."""
    return FileBlocks(config["state_dir"] + "/" + name, count, 512)


def journal(config):
    """The flash of the journal."""
    from node.fileflash import FileFlash

    return FileFlash(config["state_dir"] + "/journal.flash", JOURNAL_SECTORS)


def cause():
    """Why we start, one of node.health.CAUSES: a program that ends is as good as cut."""
    return "power"


def watchdog(_timeout_ms):
    """A function to call at least every `timeout_ms`, or we are started again; here nobody watches."""
    return lambda: None


def button(config):
    """A function that says whether the button is down, None without one: here it is down while a file is there."""
    if "button_file" not in config:
        return None

    def is_down():
        try:
            os.stat(config["button_file"])
            return True
        except OSError:
            return False

    return is_down


def has_relay(config):
    """Whether there is a relay to move."""
    requests = config.get("requests")
    return "control" in config or (isinstance(requests, dict) and requests.get("relay") is True)


def slots(config):
    """Where updates go: two files' worth of image and a boot loader of our own."""
    from node.cell import Cell
    from node.slots import Slots

    slots = Slots(blocks(config, "images", 512), Cell(blocks(config, "boot")))
    slots.boot()
    return slots


def switch(config):
    """A function of (is_on) that moves the relay: here it is a file that says where it stands."""
    path = config["state_dir"] + "/relay"

    def move(is_on):
        with open(path, "w") as file:
            file.write("on\n" if is_on else "off\n")

    return move


class Radio:
    """What the set-up needs of a network; here we are on one already, and only the page's port is of interest."""

    dns_port = None  # 53 where we are the access point

    def __init__(self, http_port):
        self.http_port = http_port

    def open(self, _name, _password):
        """Open an access point; our address in it, 4 bytes."""
        return b"\x7f\x00\x00\x01"

    def close(self):
        """Close it."""

    def join(self, name, password):
        """Begin to join a network. OSError: it cannot be begun."""

    def leave(self):
        """Leave it, or give up joining it."""

    def is_up(self):
        """Whether we have joined and have an address."""
        return True

    def address(self):
        """That address."""
        return "127.0.0.1"

    def level_dbm(self):
        """How well the network is heard: there is none here."""
        return 0


def radio(config):
    """The radio, off."""
    return Radio(config.get("set_up_port", 8080))


class Cable:
    """Who holds the cable: here the terminal. On a chip nobody looks for Ctrl-C in it until it is closed."""

    def __init__(self):
        self._reader = asyncio.StreamReader(sys.stdin.buffer)

    async def read(self):
        """One byte, or none at the end."""
        return await self._reader.read(1)

    def write(self, data):
        """Bytes, as they are."""
        sys.stdout.buffer.write(data)

    def close(self):
        """The cable is the prompt's again."""


def cable():
    """The line that a person's cable leads to, from now on ours."""
    return Cable()


class Line:
    """A serial line that is a file here, as boards/hardware.py has a chip's: any(), read(n), write(bytes)."""

    def __init__(self, path):
        self._file = open(path, "r+b")
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)
        self._came = b""

    def any(self):
        """How many bytes have come and wait, a buffer full of them at most."""
        while len(self._came) < _LINE_BUFFER and self._has_come():
            self._came += self._file.read(1)
        return len(self._came)

    def _has_come(self):
        return any(events & select.POLLIN for _file, events in self._poll.poll(0))

    def read(self, size):
        """So many of them, or None."""
        data, self._came = self._came[:size], self._came[size:]
        return data or None

    def write(self, data):
        """Say it."""
        self._file.write(data)


class Hardware:
    """What meter drivers ask for; here a line (set up by stty beforehand) and durable values, no pins."""

    def __init__(self, config):
        self._config = config

    def uart(self, _baud, _bits, _parity, _stop):
        """The line that the configuration's `line` names; KeyError without one."""
        return Line(self._config["line"])

    def store(self, name):
        """A small durable value in the state folder."""
        from meters.store import FileStore

        return FileStore(self._config["state_dir"] + "/" + name)


def hardware(config):
    """What meter drivers ask for."""
    return Hardware(config)


def restart():
    """End; whoever started us starts us again."""
    sys.exit(75)


def make_folder(path):
    """Make a folder and those it lies in, if they are missing."""
    at = ""
    for name in path.split("/"):
        at += name
        if at:
            try:
                os.mkdir(at)
            except OSError:  # it is there, or opening a file in it will say what is wrong
                pass
        at += "/"


def write_status(path, state):
    """Replace the status file for people to read. Not durable: a power cut ends what it describes."""
    beside = path + ".new"
    with open(beside, "w") as file:
        file.write(json.dumps(state))
    os.rename(beside, path)
