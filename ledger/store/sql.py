"""The store: entries, their leaf hashes and the balances that follow, in one database (SQLAlchemy Core).

How they lie there is told in pieces.py and balances.py; here is who may write, when, and what happens if it fails.

One process holds it, through one connection: SQLite in WAL mode with synchronous=FULL, or PostgreSQL. The entries
are the truth; balances stand beside them in the same transaction so that a start can compare what it replays.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ParamSpec, TypeVar

import sqlalchemy as sa

from commonwatt.errors import StorageError
from ledger.book.account_columns import Account, Accounts
from ledger.book.accounts import Book
from ledger.log.merkle import HASH_SIZE
from ledger.store import pieces
from ledger.store.balances import BalancePages
from ledger.store.engine import Engine
from ledger.store.pieces import Piece, Pieces
from ledger.store.schema import SCHEMA, Damaged, Row
from ledger.store.upgrade import SCHEMAS

P = ParamSpec("P")
T = TypeVar("T")


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
        return self._guarded(self._read, self._pieces.size)

    def pieces(self, first: int = 0) -> Iterator[Piece]:
        """Every piece in order, from the one that holds entry `first` on."""
        begin = self._guarded(self._read, self._pieces.begin, first)
        while rows := self._guarded(self._read, self._pieces.read, begin):
            yield from rows
            begin = rows[-1].first + rows[-1].entry_count

    def entries(self, first: int = 0) -> Iterator[tuple[bytes, bytes]]:
        """Every entry from `first` on with its leaf hash, in order."""
        for row in self.pieces(first):
            entries, hashes = self.open_piece(row)
            start = max(first - row.first, 0)
            yield from zip(entries[start:], hashes[start:], strict=True)

    def open_piece(self, row: Piece) -> tuple[list[bytes], list[bytes]]:
        """The entries of a piece and their leaf hashes."""
        hashes = [row.leaf_hashes[at : at + HASH_SIZE] for at in range(0, len(row.leaf_hashes), HASH_SIZE)]
        return self._guarded(pieces.entries_of, row), hashes

    def entry(self, place: int) -> bytes:
        """The entry at a place that exists."""
        row = self._guarded(self._read, self._piece_of, place)
        return self.open_piece(row)[0][place - row.first]

    def find(self, entry_id: bytes) -> tuple[int, bytes] | None:
        """Place and bytes of a signed entry."""
        place = self.places([entry_id]).get(entry_id)
        return None if place is None else (place, self.entry(place))

    def places(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """Where those of these ids stand that signed entries have."""
        return self._guarded(self._read, self._pieces.find, ids)

    def signed(self) -> int:
        """How many signed entries there are, by their ids."""
        return self._guarded(self._read, self._pieces.signed)

    def balances(self) -> dict[bytes, tuple[int, int]]:
        """Debits and credits of every account that ever moved, in milli-credits."""
        return self._balances.all()

    def append(self, rows: Sequence[Piece], ids: Sequence[tuple[bytes, int]], book: Book) -> None:
        """Commit entries, the ids of the signed ones with their places, and the balances that they touched.

        All of it or nothing. StorageError unless the log still ends where the entries begin.
        """
        self._guarded(self._append, rows, ids, book)

    def erase(self, places: Sequence[int]) -> None:
        """Empty these entries for good, all or none, and have the engine give up what it still held of them."""
        self._guarded(self._erase, places)

    def _erase(self, places: Sequence[int]) -> None:
        with self._connection.begin():
            self._pieces.erase(places)
        self._engine.scrub(self._connection)

    def _open(self) -> None:
        connection = self._connect(is_new=False)
        with connection.begin():
            self._engine.lock(connection)
            found = SCHEMAS.version_of(connection, self._engine.where)
        if found < SCHEMA:
            self._engine.put_aside(connection, f"schema-{found}")
        with connection.begin():
            SCHEMAS.upgrade(connection, found)
            self._balances.load()

    def _create(
        self, batches: Iterable[Sequence[Row]], balances: Callable[[], Mapping[bytes, tuple[int, int]]]
    ) -> None:
        connection = self._connect(is_new=True)
        with connection.begin():
            self._engine.lock(connection)
            if not SCHEMAS.is_empty(connection):
                raise StorageError(
                    "a ledger is here already", where=self._engine.where, to_do="name the right directory"
                )
            SCHEMAS.create(connection)
            for rows in batches:
                self._pieces.insert(list(pieces.cut(rows)), pieces.ids_of(rows))
            accounts = Accounts()
            for name, amounts_mc in balances().items():
                accounts[name] = Account(*amounts_mc)
            self._balances.put(accounts, range(len(accounts)))

    def _connect(self, *, is_new: bool) -> sa.Connection:
        self._connection = connection = self._engine.connect(is_new=is_new)
        self._pieces = Pieces(connection)
        self._balances = BalancePages(connection)
        return connection

    def _piece_of(self, place: int) -> Piece:
        return self._pieces.read(self._pieces.begin(place), 1)[0]

    def _read(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._connection.begin():
            return action(*args, **kwargs)

    def _append(self, rows: Sequence[Piece], ids: Sequence[tuple[bytes, int]], book: Book) -> None:
        with self._connection.begin():
            if rows[0].first != self._pieces.size():
                raise self._failure("another writer appended to this ledger")
            self._pieces.insert(rows, ids)
            self._balances.put(book.accounts, book.touched)

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
        except Damaged as error:
            self._has_failed = True
            raise self._failure(str(error)) from error

    def _failure(self, what: str) -> StorageError:
        return StorageError(
            what, where=self._engine.where, to_do="stop everything that writes here and restore a backup"
        )
