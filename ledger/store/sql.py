"""The store: entries, their leaf hashes and the balances that follow, in one database (SQLAlchemy Core).

One process holds it, through one connection: SQLite in WAL mode with synchronous=FULL, or PostgreSQL. The entries
are the truth; balances stand beside them in the same transaction so that a start can compare what it replays.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from commonwatt.errors import StorageError
from ledger.store import upgrade
from ledger.store.engine import Engine
from ledger.store.schema import SCHEMA, Row, balance, entry, meta

P = ParamSpec("P")
T = TypeVar("T")

FETCH_ROWS = 1000


class Store:
    """One open database, for `with`. Every failure is a StorageError; after one the store takes nothing more."""

    def __init__(self, engine: Engine) -> None:
        self._start(engine, self._open)

    @classmethod
    def create(
        cls, engine: Engine, batches: Iterable[Sequence[Row]], balances: Callable[[], Mapping[bytes, tuple[int, int]]]
    ) -> "Store":
        """A new ledger with these entries and the balances after them: all of it in one transaction, or nothing.

        StorageError if there is one already. `balances` is asked when the last batch has been taken.
        """
        store = cls.__new__(cls)
        store._start(engine, lambda: store._create(batches, balances))
        return store

    def _start(self, engine: Engine, opened: Callable[[], None]) -> None:
        self._engine = engine
        self._has_failed = False
        try:
            self._guarded(opened)
        except BaseException:
            engine.close()
            raise

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back."""
        self._connection.close()
        self._engine.close()

    @property
    def where(self) -> object:
        """How messages name it."""
        return self._engine.where

    def size(self) -> int:
        """How many entries there are."""
        return self._guarded(self._size)

    def entries(self, first: int = 0) -> Iterator[tuple[bytes, bytes]]:
        """Every entry from `first` on with its leaf hash, in order."""
        while rows := self._guarded(self._fetch, first):
            yield from rows
            first += len(rows)

    def entry(self, place: int) -> bytes:
        """The entry at a place that exists."""
        rows = self._guarded(self._fetch, place)
        return rows[0][0]

    def find(self, entry_id: bytes) -> tuple[int, bytes] | None:
        """Place and bytes of a signed entry."""
        query = sa.select(entry.c.place, entry.c.data).where(entry.c.entry_id == entry_id)
        rows = self._guarded(self._read, query)
        return (rows[0].place, rows[0].data) if rows else None

    def balances(self) -> dict[bytes, tuple[int, int]]:
        """Debits and credits of every account that ever moved, in milli-credits."""
        rows = self._guarded(self._read, sa.select(balance))
        return {row.account: (row.debits_mc, row.credits_mc) for row in rows}

    def append(self, rows: Sequence[Row], balances: Mapping[bytes, tuple[int, int]]) -> None:
        """Commit entries and the balances after them, all or nothing, if the log still ends where `rows` begin."""
        self._guarded(self._append, rows, balances)

    def _open(self) -> None:
        connection = self._connect(is_new=False)
        with connection.begin():
            self._engine.lock(connection)
            found = upgrade.version_of(connection, self._engine.where)
        if found < SCHEMA:
            self._engine.put_aside(connection, f"schema-{found}")
        with connection.begin():
            upgrade.upgrade(connection, found)

    def _create(
        self, batches: Iterable[Sequence[Row]], balances: Callable[[], Mapping[bytes, tuple[int, int]]]
    ) -> None:
        connection = self._connect(is_new=True)
        with connection.begin():
            self._engine.lock(connection)
            if sa.inspect(connection).has_table(meta.name):
                raise StorageError(
                    "a ledger is here already", where=self._engine.where, to_do="name the right directory"
                )
            upgrade.create(connection)
            for rows in batches:
                self._insert(rows)
            self._update(balances())

    def _connect(self, *, is_new: bool) -> sa.Connection:
        self._connection = connection = self._engine.connect(is_new=is_new)
        self._upsert_balance = str(_upsert(connection.dialect).compile(dialect=connection.dialect))
        self._insert_entry = str(sa.insert(entry).compile(dialect=connection.dialect))
        return connection

    def _read(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._connection.begin():
            return self._connection.execute(query).all()

    def _size(self) -> int:
        last = self._read(sa.select(sa.func.max(entry.c.place)))[0][0]
        return 0 if last is None else int(last) + 1

    def _fetch(self, first: int) -> list[tuple[bytes, bytes]]:
        query = (
            sa.select(entry.c.place, entry.c.data, entry.c.leaf_hash)
            .where(entry.c.place >= first)
            .order_by(entry.c.place)
            .limit(FETCH_ROWS)
        )
        rows = self._read(query)
        if any(row.place != first + offset for offset, row in enumerate(rows)):
            raise self._failure(f"entries are missing after place {first}")
        return [(row.data, row.leaf_hash) for row in rows]

    def _append(self, rows: Sequence[Row], balances: Mapping[bytes, tuple[int, int]]) -> None:
        with self._connection.begin():
            last = self._connection.execute(sa.select(sa.func.max(entry.c.place))).scalar()
            if rows[0].place != (0 if last is None else last + 1):
                raise self._failure("another writer appended to this ledger")
            self._insert(rows)
            self._update(balances)

    def _insert(self, rows: Sequence[Row]) -> None:
        # The driver takes rows as they are: SQLAlchemy's work per row costs as much as SQLite's.
        self._connection.exec_driver_sql(self._insert_entry, list(rows))

    def _update(self, balances: Mapping[bytes, tuple[int, int]]) -> None:
        accounts = [(account, debits_mc, credits_mc) for account, (debits_mc, credits_mc) in balances.items()]
        if accounts:
            self._connection.exec_driver_sql(self._upsert_balance, accounts)

    def _guarded(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an action. No retry: after a failed commit or fsync nobody knows what is on the disk."""
        if self._has_failed:
            raise StorageError("the database has failed before", where=self._engine.where, to_do="start again")
        try:
            return action(*args, **kwargs)
        except sa.exc.SQLAlchemyError as error:
            self._has_failed = True
            raise self._engine.explained(error) from error
        except StorageError:
            self._has_failed = True
            raise

    def _failure(self, what: str) -> StorageError:
        return StorageError(
            what, where=self._engine.where, to_do="stop everything that writes here and restore a backup"
        )


def _upsert(dialect: sa.Dialect) -> sa.Insert:
    """The two engines spell it alike; SQLAlchemy has a construct for each."""
    statement = (sqlite_insert if dialect.name == "sqlite" else postgresql_insert)(balance)
    return statement.on_conflict_do_update(
        index_elements=[balance.c.account],
        set_={"debits_mc": statement.excluded.debits_mc, "credits_mc": statement.excluded.credits_mc},
    )
