"""What this machine can do at most: each limit is measured in the run that quotes it.

`verify`: libsodium's crypto_sign_open on 200-byte messages with distinct keys, in N processes at once.
`tree`: SHA-256 over the leaves and nodes of an RFC 6962 tree, on the real entry bytes, in one process.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import nacl.bindings as sodium

SECONDS_MIN = 1.0
MESSAGE_SIZE = 200
VERIFY_MESSAGES = 4_000
"""Per process; distinct keys, so that no key's table stays in the cache."""


def verify_per_s(processes: int) -> float:
    """Signatures per second that `processes` processes verify together."""
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_ready, range(processes)))
        rates = list(pool.map(_verify_rate, range(processes)))
    return sum(rates)


def tree_leaves_per_s(entries: Sequence[bytes]) -> float:
    """Leaves per second: one leaf hash each and the interior nodes above them, with nothing else done.

    Over a second at least: beside other programs a shorter look meets a lull, or none.
    """
    rounds, started_s = 0, time.perf_counter()
    while time.perf_counter() - started_s < SECONDS_MIN:
        _grow_tree(entries)
        rounds += 1
    return rounds * len(entries) / (time.perf_counter() - started_s)


def _grow_tree(entries: Sequence[bytes]) -> None:
    sha256 = hashlib.sha256
    level = [sha256(b"\x00" + entry).digest() for entry in entries]
    while len(level) > 1:
        odd = [level.pop()] if len(level) % 2 else []
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
        level += odd


def _ready(_index: int) -> int:
    return os.getpid()


def _verify_rate(_index: int) -> float:
    signed = []
    for _ in range(VERIFY_MESSAGES):
        public_key, secret = sodium.crypto_sign_keypair()
        signed.append((sodium.crypto_sign(os.urandom(MESSAGE_SIZE), secret), public_key))
    rounds, started_s = 0, time.perf_counter()
    while time.perf_counter() - started_s < SECONDS_MIN:
        for message, public_key in signed:
            sodium.crypto_sign_open(message, public_key)
        rounds += 1
    return rounds * VERIFY_MESSAGES / (time.perf_counter() - started_s)
