"""The SQLite file below the spool: one writer, one commit per tick, on the disk when the commit returns.

WAL with synchronous=FULL: a commit is an fsync of the write-ahead log. The lock is exclusive for as long as the
gateway lives, because two gateways on one spool would count batches twice. Whoever can write this file can drop or
repeat blocks, but not forge them: devices signed them.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from commonwatt.errors import StorageError
from commonwatt.i18n import _

BUSY_S = 2.0
"""How long to wait for another process to let go of the file: a gateway that is just ending."""
_FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE block (
    id INTEGER PRIMARY KEY,          -- order of arrival; the order inside a batch
    device BLOB NOT NULL,
    seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,     -- over the signed block: the same block twice is one row
    signed BLOB NOT NULL,
    arrived_s INTEGER NOT NULL,      -- civil time
    batch INTEGER                    -- the closed batch that carries it, or NULL
);
CREATE INDEX block_by_batch ON block (batch);
CREATE TABLE batch (
    seq INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL,
    signed BLOB NOT NULL             -- stored before it is first sent: resends are the same bytes
);
CREATE TABLE refused (
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    seq INTEGER NOT NULL,
    signed BLOB NOT NULL,
    reason INTEGER NOT NULL,         -- a Refusal, from the aggregator's receipt
    refused_s INTEGER NOT NULL       -- civil time
);
CREATE TABLE chain (                 -- where the blocks of our own meters go on; a new key is a new sequence
    device BLOB NOT NULL,
    public_key BLOB NOT NULL,
    seq INTEGER NOT NULL,
    prev BLOB NOT NULL,
    PRIMARY KEY (device, public_key)
) WITHOUT ROWID;
CREATE TABLE pending (               -- readings taken and not yet in a block
    device BLOB NOT NULL,
    time_s INTEGER NOT NULL,
    registers TEXT NOT NULL,         -- JSON [[quantity, Wh], ...]
    PRIMARY KEY (device, time_s)
) WITHOUT ROWID;
"""
_SECOND = """
-- the age clock on arrival: gateway/age.py
ALTER TABLE block ADD COLUMN kept_s INTEGER NOT NULL DEFAULT 0;
CREATE TABLE command (               -- signed commands that wait for their device
    device BLOB NOT NULL,
    counter BLOB NOT NULL,           -- 8 bytes, most significant first: 64 bits without a sign
    replaces_earlier INTEGER NOT NULL,
    signed BLOB NOT NULL,
    arrived_s INTEGER NOT NULL,      -- age clock
    PRIMARY KEY (device, counter)
) WITHOUT ROWID;
CREATE TABLE claim (                 -- the newest claim of each device
    device BLOB PRIMARY KEY,
    signed BLOB NOT NULL,
    arrived_s INTEGER NOT NULL       -- civil time
) WITHOUT ROWID;
"""
SCHEMAS = (_FIRST, _SECOND)
"""What each version adds to the one before it: a newer gateway goes on with an older one's spool."""

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """An open spool file; every failure of SQLite is a StorageError."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self.path = path
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        try:
            self._set_up()
        except StorageError:
            self._connection.close()
            raise

    def _set_up(self) -> None:
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            self.execute(f"PRAGMA {pragma}")
        (version,) = self.execute("PRAGMA user_version")[0]
        if version > len(SCHEMAS):
            raise StorageError(
                _("the spool was written by another version ({version})").format(version=version),
                where=self.path,
                to_do=_("start the gateway that wrote it, or move the file away once it is empty"),
            )
        with self.transaction():
            for schema in SCHEMAS[version:]:
                for statement in schema.split(";\n"):
                    self.execute(statement)
            self.execute(f"PRAGMA user_version={len(SCHEMAS)}")

    def close(self) -> None:
        """Let go of the file."""
        with self._explained():
            self._connection.close()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on the disk when it is left; the first statement already holds the lock."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one statement and return its rows."""
        with self._explained():
            return self._connection.execute(statement, values).fetchall()

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement per row; returns how many rows of the database changed."""
        with self._explained():
            before = self._connection.total_changes
            self._connection.executemany(statement, rows)
            return self._connection.total_changes - before

    def size_bytes(self) -> int:
        """What the file's pages in use take."""
        (pages,), (free,), (size,) = (
            self.execute(f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageError(str(error), where=self.path, to_do=_advice(error)) from error


def _advice(error: sqlite3.Error | OSError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return _("another process holds the spool; stop it, then start the gateway again")
    if code in _FULL:
        return _("make room on the disk, then start the gateway again; nothing acknowledged is lost")
    if code in _BROKEN:
        return _(
            "the file is damaged: move it away, keep it, and start again; devices send what was not acknowledged"
        )
    return _("check the path and the rights of spool_file, then start the gateway again")
