"""What the two engines of the aggregator's database do differently: open, take turns, lead, copy, explain failures.

With either, the writers of a commune take turns, a transaction at a time: that is what lets a closing say "everything
committed before me" with one number. On SQLite there is one process; on PostgreSQL as many as are started, and one of
them leads (books.py). Both locks are advisory, named by the schema, and end with their session whatever ends it.
"""

import sqlite3
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from commonwatt import sqlite
from commonwatt.errors import StorageError, UserError

_WRITE = sa.text("SELECT pg_advisory_xact_lock(:name, hashtext(current_schema()))").bindparams(name=0x4358)
_LEAD = sa.text("SELECT pg_try_advisory_lock(:name, hashtext(current_schema()))").bindparams(name=0x4359)
"""The ledger's own lock is 0x4357 (ledger/store/postgres.py)."""


class Engine(Protocol):
    """One database of one commune. `where`: how messages name it, without a password."""

    where: object
    is_shared: bool
    """Whether other aggregators may be at work in it."""

    def connect(self) -> sa.Connection:
        """Open the one connection. SQLAlchemyError or StorageError."""

    def begin(self, connection: sa.Connection) -> None:
        """Wait for our turn to write, in the transaction that has just begun."""

    def may_lead(self, connection: sa.Connection) -> bool:
        """Whether this process leads, from now on until its connection ends."""

    def put_aside(self, connection: sa.Connection, found: int) -> None:
        """Keep a copy before the schema changes, where the engine can."""

    def scrub(self, connection: sa.Connection) -> None:
        """Outside transactions: leave nothing of deleted rows in the files. Needs room for a copy."""

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """What failed, in words, and what to do."""

    def close(self) -> None:
        """Give the database back."""


def engine_for(url: str, *, busy_s: float, pages_max: int | None) -> Engine:
    """The engine of a URL, sqlite:///… or postgresql://…; UserError for any other."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise UserError("not a database URL", where=url, to_do=_TO_DO) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return SqliteFile(url, busy_s=busy_s, pages_max=pages_max)
    if backend in ("postgresql", "postgres"):
        return Postgres(parsed)
    where = parsed.render_as_string(hide_password=True)
    raise UserError("the aggregator's database cannot lie there", where=where, to_do=_TO_DO)


_TO_DO = "write sqlite:///PATH or postgresql://USER@HOST/DATABASE"


class SqliteFile:
    """A file that this process writes alone. `busy_s`: how long to wait for a backup's lock."""

    is_shared = False

    def __init__(self, url: str, *, busy_s: float, pages_max: int | None) -> None:
        self.where: object = url
        self._engine = sqlite.engine(url, busy_s=busy_s, is_exclusive=False, pages_max=pages_max)

    def connect(self) -> sa.Connection:
        """Open the file."""
        return self._engine.connect()

    def begin(self, connection: sa.Connection) -> None:
        """Nothing to do: BEGIN IMMEDIATE took the turn."""

    def may_lead(self, connection: sa.Connection) -> bool:
        """The ledger, which opens exclusively, ends a second process."""
        return True

    def put_aside(self, connection: sa.Connection, found: int) -> None:
        """Copy the file beside itself."""
        file = Path(str(self._engine.url.database))
        sqlite.copy(connection, file.with_name(f"{file.name}.schema-{found}"))

    def scrub(self, connection: sa.Connection) -> None:
        """Write the file anew without free pages, and empty the write-ahead log."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        try:
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StorageError(
                f"what was deleted may still lie in free pages: {error}",
                where=self.where,
                to_do="make room and repeat",
            ) from error

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """By SQLite's own words."""
        cause = str(getattr(error, "orig", None) or error)
        if "locked" in cause or "busy" in cause:
            what, to_do = "the database is locked by another process", "end that process and start again"
        elif "full" in cause or "disk I/O" in cause:
            what, to_do = f"the disk is full or failing ({cause})", "make room and start again"
        else:
            return StorageError(
                f"the database failed: {cause}", where=self.where, to_do="mend the disk or restore a backup"
            )
        return StorageError(what, where=self.where, to_do=f"{to_do}; what was not answered is sent again")

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()


class Postgres:
    """A database that all aggregators of a commune share, as the ledger opens its own (ledger/store/postgres.py)."""

    is_shared = True

    def __init__(self, url: sa.URL) -> None:
        try:
            from ledger.store.postgres import PostgresDatabase
        except ModuleNotFoundError as error:
            raise UserError(
                f"PostgreSQL needs the package {error.name}, which is not installed",
                to_do="pip install 'commonwatt[postgres]'",
            ) from error
        self._database = PostgresDatabase(url)
        self.where: object = self._database.where

    def connect(self) -> sa.Connection:
        """Open the session; a server that may lose commits is refused."""
        return self._database.connect(is_new=True)

    def begin(self, connection: sa.Connection) -> None:
        """Wait for the other aggregators' transactions."""
        connection.execute(_WRITE)

    def may_lead(self, connection: sa.Connection) -> bool:
        """Take the leader's lock if nobody has it. It ends with the session, however often it was asked for."""
        return bool(connection.scalar(_LEAD))

    def put_aside(self, connection: sa.Connection, found: int) -> None:
        """No copy: an upgrade is one transaction, and the server's own backups are another's task (pg_dump)."""

    def scrub(self, connection: sa.Connection) -> None:
        """Write the evidence anew; the server's own write-ahead log and backups are its administrator's."""
        with connection.execution_options(isolation_level="AUTOCOMMIT").begin():
            connection.exec_driver_sql("VACUUM FULL evidence_page")
        connection.execution_options(isolation_level="READ COMMITTED")

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """By PostgreSQL's own codes."""
        return self._database.explained(error)

    def close(self) -> None:
        """Give the session back."""
        self._database.close()
