"""The ids of signed entries: each is taken once, for ever. `chain` stands for all of them in a state's digest."""

import hashlib
from collections.abc import Sequence

from commonwatt.identity import ID_SIZE

SEALED_TOGETHER = 256 * ID_SIZE
"""Bytes of ids that are hashed at once: hashing each of them costs as much as everything else done with it."""


class EntryIds:
    """The ids in memory, as an auditor keeps them; the sequencer asks its database instead (store/ids.py)."""

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._sealed = bytes(32)
        self._unsealed = b""

    def __contains__(self, entry_id: bytes) -> bool:
        return entry_id in self._ids

    @property
    def chain(self) -> bytes:
        """SHA-256 over the chain of all full groups, and the ids since."""
        return hashlib.sha256(self._sealed + self._unsealed).digest()

    def forgotten(self) -> "EntryIds":
        """The same chain by itself: it goes on, and knows none of the ids."""
        ids = EntryIds()
        ids.go_on(self)
        return ids

    def go_on(self, before: "EntryIds") -> None:
        """Continue another chain."""
        self._sealed, self._unsealed = before._sealed, before._unsealed

    def add(self, entry_id: bytes) -> None:
        """Take an id that is free."""
        self.add_many([entry_id])

    def add_many(self, ids: Sequence[bytes]) -> None:
        """Take ids that are free, in order."""
        self._ids.update(ids)
        unsealed = self._unsealed + b"".join(ids)
        while len(unsealed) >= SEALED_TOGETHER:
            self._sealed = hashlib.sha256(self._sealed + unsealed[:SEALED_TOGETHER]).digest()
            unsealed = unsealed[SEALED_TOGETHER:]
        self._unsealed = unsealed
