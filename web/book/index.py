"""Where an account's entries are, and where an id is, in a log that is followed: web-index.db, made anew at will."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from commonwatt.errors import StorageError
from ledger.book.entry import SignedEntry
from ledger.book.mint import Mint
from ledger.book.state import State
from ledger.follower import LogFollower
from ledger.http.index import PartyIndex
from ledger.log.checkpoint import Checkpoint
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, WIDTH, TileName

FILE = "web-index.db"
_SCHEMA = "CREATE TABLE IF NOT EXISTS entry (id BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID"


class FollowedBook:
    """A followed log as a book. Whoever calls holds its lock."""

    def __init__(self, log: PublishedLog, follower: LogFollower, path: Path) -> None:
        self._log, self._follower, self._path = log, follower, path
        self._index: FollowedIndex | None = None

    @property
    def state(self) -> State:
        """After all entries that were read."""
        return self._follower.state

    @property
    def size(self) -> int:
        """How many entries the head covers that was read."""
        return self._follower.checkpoint.size

    @property
    def checkpoint(self) -> Checkpoint:
        """The head up to which was read."""
        return self._follower.checkpoint

    @property
    def index(self) -> "FollowedIndex":
        """Opened when it is first asked for."""
        if self._index is None:
            self._index = FollowedIndex(self._path, self)
        return self._index

    def entries(self, first: int, end: int) -> Iterator[bytes]:
        """The entries of these places; an empty one was erased."""
        for start in range(first // WIDTH * WIDTH, end, WIDTH):
            bundle = self._log.bundle(TileName(ENTRIES, start // WIDTH, min(WIDTH, self.size - start)))
            yield from bundle[max(0, first - start) : end - start]

    def entry(self, place: int) -> bytes:
        """One entry."""
        (found,) = self.entries(place, place + 1)
        return found

    def find_entry(self, entry_id: bytes) -> bytes | None:
        """The entry that has an id."""
        place = self.index.place_of(entry_id)
        return None if place is None else self.entry(place)

    def close(self) -> None:
        """Give the index back."""
        if self._index is not None:
            self._index.close()


class FollowedIndex(PartyIndex):
    """With the places of ids, which the store of an open ledger has."""

    def _begin(self) -> int:
        size = super()._begin()
        if size == 0:
            self._connection.execute("DROP TABLE IF EXISTS entry")
        self._connection.execute(_SCHEMA)
        return size

    def _note(self, place: int, parsed: SignedEntry | Mint) -> None:
        if isinstance(parsed, SignedEntry):
            self._connection.execute("INSERT OR IGNORE INTO entry VALUES (?, ?)", (parsed.entry.id, place))

    def place_of(self, entry_id: bytes) -> int | None:
        """Where the entry with an id is."""
        try:
            if not self._connection.in_transaction:  # while it catches up it asks for what came before
                self._catch_up()
            row = self._connection.execute("SELECT place FROM entry WHERE id = ?", (entry_id,)).fetchone()
        except sqlite3.Error as error:
            raise StorageError(
                f"the index failed: {error}", where=self._path, to_do="delete it; it is made anew"
            ) from error
        return None if row is None else int(row[0])
