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
from commonwatt.errors import InUseError, StorageError


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


class SqliteFile:
    """A store in one file, as every engine of ours has it: open, copy, scrub, explain.

    `in_use`: what to say and to do while another process has it; `busy_s`, `is_exclusive`, `pages_max`: of `engine`.
    """

    def __init__(
        self, path: Path, *, in_use: tuple[str, str], busy_s: float, is_exclusive: bool, pages_max: int | None = None
    ) -> None:
        self.where: object = path
        self.path = path
        self._in_use = in_use
        self._engine = engine(f"sqlite:///{path}", busy_s=busy_s, is_exclusive=is_exclusive, pages_max=pages_max)

    def open(self) -> sa.Connection:
        """The one connection; the file is made if there is none."""
        return self._engine.connect()

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()

    def put_aside(self, connection: sa.Connection, name: str) -> None:
        """Copy the file beside itself, under its own name and `name`."""
        copy(connection, self.path.with_name(f"{self.path.name}.{name}"))

    def scrub(self, connection: sa.Connection) -> None:
        """Outside transactions: write the file anew without free pages, and empty the write-ahead log."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        try:
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StorageError(
                f"what was deleted may still lie in free pages: {error}",
                where=self.where,
                to_do="make room for a second copy and repeat",
            ) from error

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """By SQLite's own words."""
        cause = str(getattr(error, "orig", None) or error)
        if "locked" in cause or "busy" in cause:
            what, to_do = self._in_use
            return InUseError(what, where=self.where, to_do=to_do)
        if "full" in cause or "disk I/O" in cause:
            what, to_do = f"the disk is full or failing ({cause})", "make room and start again; nothing is lost"
        else:
            what, to_do = f"the database failed: {cause}", "mend the disk or restore a backup"
        return StorageError(what, where=self.where, to_do=to_do)


def read_only(path: Path) -> sa.Engine:
    """An engine that looks at a file which others may be writing: each transaction sees one moment of it."""
    made = sa.create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")

    @sa.event.listens_for(made, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

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
