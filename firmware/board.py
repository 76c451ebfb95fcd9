"""The machine we run on: the only module that may know it. This is Unix; a chip's board has the same functions."""

import json
import os
import random as _random
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


def hardware(_config):
    """What meter drivers ask for: nothing here."""
    return


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
