"""Which entries concern which holder: a derived table beside the ledger, caught up with the log, rebuilt at will."""

import sqlite3
from pathlib import Path

from commonwatt.errors import StorageError
from ledger.book import entry
from ledger.book.parties import parties
from ledger.book.units import holder_of
from ledger.sequencer import Sequencer

_SCHEMA = """
CREATE TABLE IF NOT EXISTS party (account BLOB, place INTEGER, PRIMARY KEY (account, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), genesis BLOB, size INTEGER);
"""
_PAGE = "SELECT place FROM party WHERE account = ? AND place > ? ORDER BY place LIMIT ?"


class PartyIndex:
    """The open table; used by one thread, the one that owns the sequencer. Losing it costs one pass over the log."""

    def __init__(self, path: Path, ledger: Sequencer) -> None:
        self._ledger = ledger
        self._path = path
        try:
            self._size = self._begin()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _begin(self) -> int:
        """Open the file; how much of the log it knows."""
        ledger = self._ledger
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.executescript(_SCHEMA)
        row = self._connection.execute("SELECT genesis, size FROM progress").fetchone()
        genesis = ledger.state.genesis_sha256
        if row is None or row[0] != genesis or row[1] > ledger.size:
            self._connection.execute("DELETE FROM party")
            self._connection.execute("REPLACE INTO progress VALUES (1, ?, 0)", (genesis,))
            row = (genesis, 0)
        size: int = row[1]
        return size

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def places(self, account: bytes, *, after: int, limit: int) -> list[int]:
        """Places above `after` of entries that concern the account's holder, ascending, at most `limit`."""
        try:
            self._catch_up()
            return [row[0] for row in self._connection.execute(_PAGE, (holder_of(account), after, limit))]
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _catch_up(self) -> None:
        if self._size == self._ledger.size:
            return
        self._connection.execute("BEGIN")
        for place, data in enumerate(self._ledger.entries(self._size, self._ledger.size), self._size):
            if not data:  # erased: it concerns nobody any more
                continue
            holders = parties(entry.parse(data), self._ledger.state, self._ledger.find_entry)
            rows = [(holder, place) for holder in holders]
            self._connection.executemany("INSERT OR IGNORE INTO party VALUES (?, ?)", rows)
        self._connection.execute("UPDATE progress SET size = ?", (self._ledger.size,))
        self._connection.execute("COMMIT")
        self._size = self._ledger.size

    def _failed(self, error: sqlite3.Error) -> StorageError:
        return StorageError(
            f"the index of parties failed: {error}",
            where=self._path,
            to_do="make room, delete the file and start again: it is made anew from the log",
        )
