"""The machine we run on: the only module that may know it. This is Unix; a chip's board has the same functions."""

import json
import os
import random as _random

urandom = os.urandom


def random():
    """A float from 0 to below 1 for jitter, never for keys."""
    return _random.random()


def seed_random():
    """Make jitter differ between devices that boot together."""
    _random.seed(int.from_bytes(urandom(4), "big"))


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
