"""The store: entries, their leaf hashes and the balances that follow, in one database (SQLAlchemy Core).

SQLite in WAL mode with synchronous=FULL, held exclusively by one process through one connection that writes and
checkpoints alone (SQLite before 3.51.3 can lose a WAL reset with several). The entries are the truth; balances
stand beside them in the same transaction so that a start can compare what it replays.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from commonwatt import sqlite
from commonwatt.errors import StorageError
from ledger.store import upgrade
from ledger.store.schema import SCHEMA, Row, balance, entry, meta

P = ParamSpec("P")
T = TypeVar("T")

FETCH_ROWS = 1000


class Store:
    """One open database, for `with`. Every failure is a StorageError; after one the store takes nothing more.

    `pages_max` limits the file (4,096-byte pages); None: the disk is the limit.
    """

    def __init__(self, path: Path, *, is_new: bool = False, pages_max: int | None = None) -> None:
        self._path = path
        self._has_failed = False
        if path.exists() == is_new:
            what = "a ledger is here already" if is_new else "there is no ledger here"
            raise StorageError(what, where=path, to_do="name the right directory")
        # busy_s 0: a second process must be told at once, not after it has waited for the first to end.
        url = f"sqlite:///{path}"
        self._engine = sqlite.engine(url, busy_s=0, is_exclusive=True, pages_max=pages_max)
        self._upsert_balance = str(_UPSERT.compile(dialect=self._engine.dialect))
        self._insert_entry = str(sa.insert(entry).compile(dialect=self._engine.dialect))
        try:
            self._connection = self._guarded(self._open, is_new)
        except StorageError:
            self._engine.dispose()
            raise

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back."""
        self._connection.close()
        self._engine.dispose()

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

    def _open(self, is_new: bool) -> sa.Connection:
        connection = self._engine.connect()
        with connection.begin():
            # The first write takes the exclusive lock, which this process keeps until it closes.
            if is_new:
                upgrade.create(connection)
                return connection
            connection.execute(sa.update(meta).where(meta.c.name == "schema").values(name="schema"))
            found = upgrade.version_of(connection, self._path)
        if found < SCHEMA:
            sqlite.copy(connection, self._path.with_name(f"{self._path.name}.schema-{found}"))
        with connection.begin():
            upgrade.upgrade(connection, found)
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
        accounts = [(account, debits_mc, credits_mc) for account, (debits_mc, credits_mc) in balances.items()]
        with self._connection.begin():
            last = self._connection.execute(sa.select(sa.func.max(entry.c.place))).scalar()
            if rows[0].place != (0 if last is None else last + 1):
                raise self._failure("another writer appended to this ledger")
            # The driver takes rows as they are: SQLAlchemy's work per row costs as much as SQLite's.
            self._connection.exec_driver_sql(self._insert_entry, list(rows))
            if accounts:
                self._connection.exec_driver_sql(self._upsert_balance, accounts)

    def _guarded(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an action. No retry: after a failed commit or fsync nobody knows what is on the disk."""
        if self._has_failed:
            raise StorageError("the database has failed before", where=self._path, to_do="start again")
        try:
            return action(*args, **kwargs)
        except sa.exc.SQLAlchemyError as error:
            self._has_failed = True
            raise _explained(self._path, error) from error
        except StorageError:
            self._has_failed = True
            raise

    def _failure(self, what: str) -> StorageError:
        return StorageError(what, where=self._path, to_do="stop everything that writes here and restore a backup")


_UPSERT = sqlite_insert(balance)
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=[balance.c.account],
    set_={"debits_mc": _UPSERT.excluded.debits_mc, "credits_mc": _UPSERT.excluded.credits_mc},
)


def _explained(path: Path, error: sa.exc.SQLAlchemyError) -> StorageError:
    cause = str(getattr(error, "orig", None) or error)
    if "locked" in cause or "busy" in cause:
        return StorageError(
            "the ledger is open in another process", where=path, to_do="stop the aggregator first, or wait for it"
        )
    if "full" in cause:
        return StorageError("the disk is full", where=path, to_do="make room and start again; nothing is lost")
    return StorageError(f"the database failed: {cause}", where=path, to_do="mend the disk or restore a backup")
