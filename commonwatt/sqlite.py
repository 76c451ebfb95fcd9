"""SQLite as every durable store of ours opens it: one connection, WAL, synchronous=FULL, transactions begun at once.

One connection writes and checkpoints, because SQLite before 3.51.3 may lose a commit when another connection resets
the write-ahead log. BEGIN IMMEDIATE takes the write lock when a transaction begins, so that none fails halfway.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from commonwatt import files
from commonwatt.errors import StorageError


def engine(
    url: str, *, busy_s: float, is_exclusive: bool, pages_max: int | None, journal_mode: str = "WAL"
) -> sa.Engine:
    """An engine for a "sqlite:///…" URL; the file is opened at the first connect.

    `busy_s`: how long to wait for another process's lock. `is_exclusive`: no other process may even read while we
    are connected. `pages_max` limits the file (4,096-byte pages). `journal_mode`: SQLite's; "DELETE" for a small
    store that several processes write.
    """
    made = sa.create_engine(url, poolclass=StaticPool, connect_args={"timeout": busy_s})

    @sa.event.listens_for(made, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, below
        if is_exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.execute("PRAGMA synchronous = FULL")
        if pages_max is not None:
            connection.execute(f"PRAGMA max_page_count = {int(pages_max)}")

    @sa.event.listens_for(made, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return made


def copy(connection: sa.Connection, target: Path) -> None:
    """Write all that is committed to another file, which is there whole and synced or not at all (StorageError)."""
    beside = target.with_name(target.name + ".new")
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    try:
        beside.unlink(missing_ok=True)
        with closing(sqlite3.connect(beside)) as file:
            driver.backup(file)
        beside.replace(target)
        files.sync_directory(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"the database cannot be copied: {error}", where=target, to_do="make room; nothing was changed"
        ) from error
