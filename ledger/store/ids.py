"""The ids of signed entries in the database, so that the sequencer's memory does not grow with the log."""

from collections.abc import Sequence

from ledger.book.entry_ids import EntryIds
from ledger.store.sql import Store


class StoredIds(EntryIds):
    """Ids in the store, and those of entries that are not committed yet (`fresh`).

    While a log is read again from the store, every id is new to us: the store's key proves that none is there twice,
    and `take_fresh` lets the reader compare.
    """

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._asked: dict[bytes, int | None] = {}
        self.fresh: list[bytes] = []
        self.is_reading = True

    def __contains__(self, entry_id: bytes) -> bool:
        if self.is_reading:
            return False
        if entry_id not in self._asked:
            self.ask([entry_id])
        return entry_id in self._ids or self._asked[entry_id] is not None

    def ask(self, ids: Sequence[bytes]) -> None:
        """Look many up at once, before each is asked for; forgets what was asked before."""
        found = self._store.places(ids)
        self._asked = {entry_id: found.get(entry_id) for entry_id in ids}

    def add_many(self, ids: Sequence[bytes]) -> None:
        """Take ids until `take_fresh`."""
        super().add_many(ids)
        self.fresh += ids

    def take_fresh(self) -> list[bytes]:
        """The ids taken since the last call, in order: they are in the store by now."""
        fresh, self.fresh = self.fresh, []
        self._ids = set()
        self._asked = {}
        return fresh
