"""A ledger in an SQLite file, held exclusively through one connection that writes and checkpoints alone."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa

from commonwatt import sqlite
from commonwatt.errors import InUseError, StorageError


class SqliteFile:
    """The file; whoever can write it can spoil the ledger, but not without the log and its witnesses showing it."""

    def __init__(self, path: Path, *, pages_max: int | None = None) -> None:
        self.where: object = path
        self._path = path
        # busy_s 0: a second process must be told at once, not after it has waited for the first to end.
        self._engine = sqlite.engine(f"sqlite:///{path}", busy_s=0, is_exclusive=True, pages_max=pages_max)

    def connect(self, *, is_new: bool) -> sa.Connection:
        """Open the file; an old one must be there, so that a wrong path makes none."""
        if not is_new and not self._path.exists():
            raise StorageError("there is no ledger here", where=self._path, to_do="name the right directory")
        return self._engine.connect()

    def close(self) -> None:
        """Give the database back."""
        self._engine.dispose()

    def lock(self, connection: sa.Connection) -> None:
        """Nothing to do: in exclusive mode the first transaction takes the lock and keeps it."""

    def put_aside(self, connection: sa.Connection, name: str) -> None:
        """Copy the file beside itself."""
        sqlite.copy(connection, self._path.with_name(f"{self._path.name}.{name}"))

    def scrub(self, connection: sa.Connection) -> None:
        """Write the file anew without free pages, and empty the write-ahead log."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        try:
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StorageError(
                f"the database cannot be written anew: {error}",
                where=self._path,
                to_do="make room for a second copy and carry the erasure out again",
            ) from error

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """By SQLite's own words."""
        cause = str(getattr(error, "orig", None) or error)
        if "locked" in cause or "busy" in cause:
            what, to_do = "the ledger is open in another process", "stop the aggregator first, or wait for it"
            return InUseError(what, where=self._path, to_do=to_do)
        if "full" in cause:
            what, to_do = "the disk is full", "make room and start again; nothing is lost"
        else:
            what, to_do = f"the database failed: {cause}", "mend the disk or restore a backup"
        return StorageError(what, where=self._path, to_do=to_do)
