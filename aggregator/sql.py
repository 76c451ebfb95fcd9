"""The aggregator's database: one connection, SQLite or PostgreSQL (engines.py), SQLAlchemy Core.

Whoever can write here can invent claims up to the rates of the policy, but no evidence: blocks carry their devices'
signatures, and every mint names the blocks behind it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from aggregator import schema
from aggregator.engines import engine_for
from aggregator.upgrade import SCHEMAS
from commonwatt.errors import StorageError

BUSY_S = 5.0
"""How long we wait for another process's transaction before we stop: a backup takes less."""


conflict_insert = postgresql.insert
"""An INSERT that may say ON CONFLICT; SQLite has the same words, and its compiler takes this statement as well."""


class Database:
    """An open database for `with`. Every failure is a StorageError, and after one it takes nothing more: nobody
    knows what a failed commit left on the disk. `pages_max` limits the file (4,096-byte pages)."""

    def __init__(self, url: str, *, busy_s: float = BUSY_S, pages_max: int | None = None) -> None:
        self._has_failed = False
        self._engine = engine_for(url, busy_s=busy_s, pages_max=pages_max)
        try:
            self._connection = self._engine.connect()
            self._make_ready()
        except sa.exc.SQLAlchemyError as error:
            raise self._engine.explained(error) from error

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back."""
        self._connection.close()
        self._engine.close()

    @property
    def is_shared(self) -> bool:
        """Whether other aggregators may write here too: then what is kept in memory follows what they wrote."""
        return self._engine.is_shared

    def may_lead(self) -> bool:
        """Whether this process is the one that closes and mints; once it is, it stays so until it ends."""
        with self.transaction() as connection:
            return self._engine.may_lead(connection)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """All or nothing, durable when the block has ended."""
        if self._has_failed:
            raise StorageError("the database has failed before", where=self._engine.where, to_do="start again")
        try:
            with self._connection.begin():
                self._engine.begin(self._connection)
                if self._engine.is_shared:
                    self._connection.info.clear()  # what was read before others had their turn
                yield self._connection
        except sa.exc.SQLAlchemyError as error:
            self._has_failed = True
            raise self._engine.explained(error) from error
        except BaseException:
            self._connection.info.clear()  # what was read from a transaction that is undone
            raise

    def forget_what_was_deleted(self) -> None:
        """Leave nothing of deleted rows in free pages or in the write-ahead log. Needs room for a copy."""
        self._engine.scrub(self._connection)

    def _make_ready(self) -> None:
        """Make the tables, or bring those of an earlier version up to date behind a copy of the file."""
        with self.transaction() as connection:
            found = None if SCHEMAS.is_empty(connection) else SCHEMAS.version_of(connection, self._engine.where)
            if found is None:
                SCHEMAS.create(connection)
        if found is not None and found < schema.SCHEMA_VERSION:
            self._engine.put_aside(self._connection, f"schema-{found}")
            with self.transaction() as connection:
                SCHEMAS.upgrade(connection, found)


def count(connection: sa.Connection, increments: Mapping[str, int]) -> None:
    """Add to the durable counters."""
    rows = [{"name": name, "value": value} for name, value in increments.items() if value]
    if rows:
        connection.execute(_COUNT, rows)


def insert_rows(connection: sa.Connection, statement: sa.Insert, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert whole rows, values in the order of the table's columns. Hands them to the driver as they are: in the
    path of every block, SQLAlchemy's care for each value costs as much as verifying its signature."""
    if rows:
        text = str(statement.compile(dialect=connection.dialect))
        connection.exec_driver_sql(text, list(rows))


def counters(connection: sa.Connection) -> dict[str, int]:
    """All durable counters by name."""
    return {row.name: row.value for row in connection.execute(sa.select(schema.counter))}


def upsert(table: sa.Table, *, keep: Iterable[str] = ()) -> sa.Insert:
    """Insert rows, or replace the rows of the same primary key except for the columns in `keep`."""
    statement = conflict_insert(table)
    keys = {column.name for column in table.primary_key}
    fresh = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys and c.name not in keep}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=fresh)


def _counting() -> sa.Insert:
    statement = conflict_insert(schema.counter)
    return statement.on_conflict_do_update(
        index_elements=[schema.counter.c.name], set_={"value": schema.counter.c.value + statement.excluded.value}
    )


_COUNT = _counting()
