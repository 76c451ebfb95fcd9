"""What tests need that is spelled differently on CPython and MicroPython. Tests here use nothing else."""

import asyncio
import json
import os
import random

try:
    import atexit
    import shutil
    import tempfile

    def folder():
        """A new empty folder, removed at the end."""
        path = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, path)
        return path

except ImportError:
    # MicroPython: the test that started us gives a TMPDIR and throws it away.
    def folder():
        """A new empty folder, removed at the end."""
        path = os.getenv("TMPDIR") + "/" + os.urandom(8).hex()
        os.mkdir(path)
        return path


VECTORS = "tests/vectors/"


def vectors(name):
    """The parsed vector file tests/vectors/`name`; tests run in the repository's root."""
    with open(VECTORS + name) as file:
        return json.load(file)


def raises(kind, action, *arguments):
    """Whether `action` raises an exception of this kind."""
    try:
        action(*arguments)
    except kind:
        return True
    return False


def seeded(seed):
    """Random numbers that the printed seed repeats."""
    print("seed", seed)
    random.seed(seed)
    return random


def run(coroutine):
    """Run a coroutine to its end on a fresh loop, at most 20 s."""
    if hasattr(asyncio, "new_event_loop") and not hasattr(asyncio, "Runner"):
        asyncio.new_event_loop()  # MicroPython keeps one loop: forget the tasks of the test before
    return asyncio.run(asyncio.wait_for(coroutine, 20))


class HandClock:
    """A civil clock that a test sets by hand. `after` are readings given out before `now_s`, one for each call."""

    synchronised = True

    def __init__(self, now_s=0):
        self.set_s = now_s
        self.after = []

    def now_s(self):
        return self.after.pop(0) if self.after else self.set_s

    def wall_ms_until(self, civil_s):
        return max(0, (civil_s - self.set_s) * 1000)


class ListMeter:
    """A meter that reads what the test put into `registers`, or raises it."""

    def __init__(self, registers):
        self.registers = registers
        self.reads = 0

    def read(self):
        self.reads += 1
        if isinstance(self.registers, Exception):
            raise self.registers
        return self.registers
