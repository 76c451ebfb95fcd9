"""Times signing and verifying on this interpreter: `micropython firmware/bench_sign.py` prints one line of JSON.

Figures are microseconds, the best of a few rounds, so that a busy machine does not count against the code.
"""

import gc
import json
import sys
import time

import main
from node import ed25519

_ROUNDS = 5
_REPEATS = 10
_MESSAGE_SIZE = 150


def microseconds(action):
    """The shortest mean time of one call of `action` over a few rounds."""
    best = None
    for _ in range(_ROUNDS):
        gc.collect()
        start = time.time_ns()
        for _ in range(_REPEATS):
            action()
        mean = (time.time_ns() - start) // (1000 * _REPEATS)
        best = mean if best is None else min(best, mean)
    return best


def measure():
    """The figures as a dict; asserts that what was timed is right."""
    if hasattr(gc, "threshold"):
        gc.threshold(main.GARBAGE_MAX)  # as the device runs
    start = time.time_ns()
    ed25519.prepare()
    prepared = time.time_ns()
    key = ed25519.SigningKey(bytes(range(32)))
    message = bytes(_MESSAGE_SIZE)
    signature = key.sign(message)
    figures = {
        "implementation": sys.implementation[0],
        "message_bytes": _MESSAGE_SIZE,
        "prepare_us": (prepared - start) // 1000,
        "sign_us": microseconds(lambda: key.sign(message)),
        "verify_us": microseconds(lambda: ed25519.verify(key.public_key, message, signature)),
    }
    assert ed25519.verify(key.public_key, message, signature)
    assert not ed25519.verify(key.public_key, message + b"!", signature)
    return figures


if __name__ == "__main__":
    print(json.dumps(measure()))
