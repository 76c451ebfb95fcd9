"""What the two engines of the aggregator's database do differently: open, take turns, lead, copy, explain failures.

With either, the writers of a commune take turns, a transaction at a time: that is what lets a closing say "everything
committed before me" with one number. On SQLite there is one process; on PostgreSQL as many as are started, and one of
them leads (books.py). Both locks are advisory, named by the schema, and end with their session whatever ends it.
"""

from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from commonwatt import sqlite
from commonwatt.errors import StorageError
from ledger.store import engine
from ledger.store.engine import place_of

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

    def put_aside(self, connection: sa.Connection, name: str) -> None:
        """Keep a copy before the schema changes, where the engine can."""

    def scrub(self, connection: sa.Connection) -> None:
        """Outside transactions: leave nothing of deleted rows in the files. Needs room for a copy."""

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """What failed, in words, and what to do."""

    def close(self) -> None:
        """Give the database back."""


def engine_for(url: str, *, busy_s: float, pages_max: int | None) -> Engine:
    """The engine of a URL, sqlite:///… or postgresql://…; UserError for any other."""
    place = place_of(url, _REFUSAL)
    if isinstance(place, Path):
        return AggregatorFile(place, busy_s=busy_s, pages_max=pages_max)
    return Postgres(place)


def read_only(url: str) -> sa.Engine:
    """An engine for those who look while the aggregator runs: it cannot write, and each transaction sees one moment.
    UserError for what is no database of ours."""
    place = place_of(url, _REFUSAL)
    if isinstance(place, Path):
        return sqlite.read_only(place)
    return engine.postgres(place).read_only()


_REFUSAL = "the aggregator's database cannot lie there"
IN_USE = "the database is locked by another process", "end that process and start again; nothing is lost"


class AggregatorFile(sqlite.SqliteFile):
    """A file that this process writes alone. `busy_s`: how long to wait for a backup's lock."""

    is_shared = False

    def __init__(self, path: Path, *, busy_s: float, pages_max: int | None) -> None:
        super().__init__(path, in_use=IN_USE, busy_s=busy_s, is_exclusive=False, pages_max=pages_max)

    def connect(self) -> sa.Connection:
        """Open the file."""
        return self.open()

    def begin(self, connection: sa.Connection) -> None:
        """Nothing to do: BEGIN IMMEDIATE took the turn."""

    def may_lead(self, connection: sa.Connection) -> bool:
        """The ledger, which opens exclusively, ends a second process."""
        return True


class Postgres:
    """A database that all aggregators of a commune share, as the ledger opens its own (ledger/store/postgres.py)."""

    is_shared = True

    def __init__(self, url: sa.URL) -> None:
        self._database = engine.postgres(url)
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

    def put_aside(self, connection: sa.Connection, name: str) -> None:
        """No copy: an upgrade is one transaction, and the server's own backups are another's task (pg_dump)."""

    def scrub(self, connection: sa.Connection) -> None:
        """Write anew what held blocks and readings."""
        self._database.write_anew(connection, "evidence_page", "conflict", "past_page")

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """By PostgreSQL's own codes."""
        return self._database.explained(error)

    def close(self) -> None:
        """Give the session back."""
        self._database.close()
