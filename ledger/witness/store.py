"""What a witness remembers, durably: per log the last size and root it cosigned, replaced by compare-and-swap.

A file of SQLite with synchronous=FULL. Who can write it can make the witness cosign a fork; who takes it away makes
it start over, so it is never deleted or restored from a backup: see docs/operating/witness.md.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Any

from commonwatt.errors import StorageError
from ledger.witness.decide import Remembered

_SCHEMA = """
CREATE TABLE IF NOT EXISTS head (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    checkpoint BLOB NOT NULL
) STRICT
"""
_INSERT = "INSERT INTO head (origin, size, root, checkpoint) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_UPDATE = "UPDATE head SET size = ?, root = ?, checkpoint = ? WHERE origin = ? AND size = ? AND root = ?"


class WitnessStore:
    """An open file. Safe for several threads and several processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from error

    def __enter__(self) -> "WitnessStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def last(self, origin: str) -> Remembered:
        """What was cosigned last of a log; the empty tree before the first time."""
        row = self._read("SELECT size, root FROM head WHERE origin = ?", origin)
        return Remembered(*row) if row else Remembered()

    def checkpoint(self, origin: str) -> bytes | None:
        """The last checkpoint with the log's signature and ours; None before the first."""
        row = self._read("SELECT checkpoint FROM head WHERE origin = ?", origin)
        return bytes(row[0]) if row else None

    def swap(self, origin: str, old: Remembered, new: Remembered, signed: bytes) -> bool:
        """Replace `old` by `new`, on disk when this returns; False, and nothing changed, if `old` is not the last."""
        with self._lock:
            try:
                if old.size == 0:
                    inserted = self._connection.execute(_INSERT, (origin, new.size, new.root, signed))
                    if inserted.rowcount == 1:
                        return True
                updated = self._connection.execute(_UPDATE, (new.size, new.root, signed, origin, old.size, old.root))
            except sqlite3.Error as error:
                raise self._failed(error) from error
            return updated.rowcount == 1

    def _read(self, query: str, origin: str) -> tuple[Any, ...] | None:
        with self._lock:
            try:
                row: tuple[Any, ...] | None = self._connection.execute(query, (origin,)).fetchone()
            except sqlite3.Error as error:
                raise self._failed(error) from error
            return row

    def _failed(self, error: Exception) -> StorageError:
        return StorageError(
            f"the witness cannot remember: {error}",
            where=self._path,
            to_do="mend the disk; do not delete the file: it is what keeps this witness from cosigning a fork",
        )
