"""The ids of signed entries: each is taken once, for ever. `chain` stands for all of them in a state's digest."""

import hashlib


class EntryIds:
    """The ids in memory, as an auditor keeps them; the sequencer asks its database instead (store/ids.py)."""

    def __init__(self) -> None:
        self.chain = bytes(32)
        self._ids: set[bytes] = set()

    def __contains__(self, entry_id: bytes) -> bool:
        return entry_id in self._ids

    def add(self, entry_id: bytes) -> None:
        """Take an id that is free."""
        self._ids.add(entry_id)
        self.link(entry_id)

    def link(self, entry_id: bytes) -> None:
        """SHA-256 over the chain so far and the id."""
        self.chain = hashlib.sha256(self.chain + entry_id).digest()
