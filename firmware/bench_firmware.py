"""Measures signing and verifying on MicroPython: `micropython firmware/bench_firmware.py TEXTBOOK_DIR` prints JSON.

`sign` and `verify` are microseconds of a 150-byte message, `ratio` is how many times as fast as the textbook signer
(tests/firmware/both/ed25519_textbook.py) we are, with the same heap in the same run; `command` and `manifest` are
microseconds from a command's or a manifest's bytes to the device's answer; `heap_table` is what the comb keeps,
`heap_garbage` what one signature leaves to collect.

`--once sign`, `--once verify`, `--once command KEY GENESIS DEVICE SIGNED..` and `--once manifest KEY GENESIS BOARD
SIGNED..` do only that, once: the smallest `-X heapsize` in which one succeeds is its peak.
"""

import gc
import json
import sys

from node import cbor, cose, ed25519

_SEED = bytes(range(32))
_MESSAGE = bytes(150)
_GENESIS = bytes(32)
_DEVICE = bytes(16)


class Nothing:
    """A durable value and two slots that hold nothing yet, on flash that costs no time."""

    value = None
    is_lost = False
    is_trial = False
    size = 1 << 20

    def write(self, _value):
        """Kept nowhere: what is measured is the answer."""


def measure(textbook):
    """The figures as a dict; asserts that what was timed is right and the same."""
    import main  # here, because what is done once is done without it
    from bench_sign import microseconds

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
    command = cose.sign1(cbor.encode([1, _DEVICE, 1, [1, False]]), key, cose.external_aad("command", _GENESIS))
    manifest = cbor.encode([1, "esp32", 8, 1 << 19, bytes(32)])
    manifest = cose.sign1(manifest, key, cose.external_aad("update", _GENESIS))
    # In turns, so that a machine that others slow down slows both.
    sign_us, textbook_us = [], []
    for _ in range(3):
        sign_us.append(microseconds(lambda: key.sign(_MESSAGE)))
        textbook_us.append(microseconds(lambda: textbook.sign(_SEED, key.public_key, _MESSAGE)))
    sign_us, textbook_us = min(sign_us), min(textbook_us)
    return {
        "sign": sign_us,
        "verify": microseconds(lambda: ed25519.verify(key.public_key, _MESSAGE, signature)),
        "command": microseconds(lambda: _obey(key.public_key, _GENESIS, _DEVICE, command)),
        "manifest": microseconds(lambda: _begin(key.public_key, _GENESIS, "esp32", manifest)),
        "textbook": textbook_us,
        "ratio": textbook_us / sign_us,
        "heap_table": table,
        "heap_garbage": _garbage(lambda: key.sign(_MESSAGE)),
    }


def once(what, *told):
    """Sign, and verify that if `what` says so; or answer a command or a manifest."""
    if what in ("command", "manifest"):
        public_key, genesis, whom = told[:3]
        signed = "".join(told[3:])  # in parts: an argument has at most 255 characters here
        answer = _obey if what == "command" else _begin
        whom = bytes.fromhex(whom) if what == "command" else whom
        return answer(bytes.fromhex(public_key), bytes.fromhex(genesis), whom, bytes.fromhex(signed))
    key = ed25519.SigningKey(_SEED)
    signature = key.sign(_MESSAGE)
    assert what == "sign" or ed25519.verify(key.public_key, _MESSAGE, signature)
    return 0


def _obey(public_key, genesis, device, signed):
    from node.command import Control

    answer = Control(Nothing(), device, public_key, genesis, bool).obey(signed)
    assert answer == 0, answer
    return answer


def _begin(public_key, genesis, board, signed):
    from node.update import Update

    answer = Update(Nothing(), Nothing(), board, 7, public_key, genesis).begin(signed)
    assert answer == 0, answer
    return answer


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
        once(*sys.argv[2:])
    else:
        sys.path.append(sys.argv[1])
        import ed25519_textbook

        print(json.dumps(measure(ed25519_textbook)))
