"""Measures signing and verifying on MicroPython: `micropython firmware/bench_firmware.py TEXTBOOK_DIR` prints JSON.

`sign` and `verify` are microseconds of a 150-byte message, `ratio` is how many times as fast as the textbook signer
(tests/firmware/both/ed25519_textbook.py) we are, with the same heap in the same run; `heap_table` is what the comb
keeps, `heap_garbage` what one signature leaves to collect. With `--once sign` (or verify) for a folder
it does only that: the smallest `-X heapsize` in which it succeeds is the peak.
"""

import gc
import json
import sys

import main
from bench_sign import microseconds
from node import ed25519

_SEED = bytes(range(32))
_MESSAGE = bytes(150)


def measure(textbook):
    """The figures as a dict; asserts that what was timed is right and the same."""
    if hasattr(gc, "threshold"):
        gc.threshold(main.GARBAGE_MAX)  # as the device runs
    gc.collect()
    before = gc.mem_alloc()
    ed25519.prepare()
    gc.collect()
    table = gc.mem_alloc() - before
    key = ed25519.SigningKey(_SEED)
    signature = key.sign(_MESSAGE)
    assert signature == textbook.sign(_SEED, key.public_key, _MESSAGE)
    assert ed25519.verify(key.public_key, _MESSAGE, signature)
    assert not ed25519.verify(key.public_key, _MESSAGE + b"!", signature)
    # In turns, so that a machine that others slow down slows both.
    sign_us, textbook_us = [], []
    for _ in range(3):
        sign_us.append(microseconds(lambda: key.sign(_MESSAGE)))
        textbook_us.append(microseconds(lambda: textbook.sign(_SEED, key.public_key, _MESSAGE)))
    sign_us, textbook_us = min(sign_us), min(textbook_us)
    return {
        "sign": sign_us,
        "verify": microseconds(lambda: ed25519.verify(key.public_key, _MESSAGE, signature)),
        "textbook": textbook_us,
        "ratio": textbook_us / sign_us,
        "heap_table": table,
        "heap_garbage": _garbage(lambda: key.sign(_MESSAGE)),
    }


def once(what):
    """Sign once, and verify that if `what` says so."""
    key = ed25519.SigningKey(_SEED)
    signature = key.sign(_MESSAGE)
    assert what == "sign" or ed25519.verify(key.public_key, _MESSAGE, signature)


def _garbage(action):
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    action()
    made = gc.mem_alloc() - before
    gc.enable()
    return made


if __name__ == "__main__":
    if sys.argv[1] == "--once":
        once(sys.argv[2])
    else:
        sys.path.append(sys.argv[1])
        import ed25519_textbook

        print(json.dumps(measure(ed25519_textbook)))
