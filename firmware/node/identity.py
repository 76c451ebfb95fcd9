"""The device's key: a 32-byte seed made on first boot, kept as hex and a newline. It never leaves the device."""

import os

from node import port
from node.ed25519 import SigningKey
from node.port import const

_SEED_SIZE = const(32)
_ENOENT = const(2)


def load_or_make(path, urandom):
    """The key of `path`, made there from `urandom` if there is none.

    ValueError: the file holds something else; OSError: it cannot be read. Either way it is left alone: another key
    would be another device, and only a person can decide that.
    """
    try:
        with open(path) as file:
            text = file.read().strip()
    except OSError as error:
        if error.args[0] != _ENOENT:
            raise
        return _make(path, urandom)
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != _SEED_SIZE:
        raise ValueError("not a key file: " + path)
    return SigningKey(seed)


def _make(path, urandom):
    seed = urandom(_SEED_SIZE)
    beside = path + ".new"
    with open(beside, "w") as file:
        file.write(seed.hex() + "\n")
        port.sync(file)
    os.rename(beside, path)
    return SigningKey(seed)
