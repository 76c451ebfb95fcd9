"""Where an account's entries are and what they moved, and where an id is, in a log that is followed: web-index.db.

Derived from the log and made anew at will. Mint leaves are read in columns (ledger/book/mint_arrays.py), many runs in
a transaction: a town's year is 3.6 million of them.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from commonwatt.errors import StorageError
from commonwatt.units import INT64_MAX
from ledger.book import entry, mint, mint_arrays
from ledger.book.body import Body, CarryForward, Charge, MintRun
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Kind
from ledger.book.parties import parties
from ledger.book.state import State
from ledger.book.units import Unit, holder_of
from ledger.log.tiles import WIDTH
from web.book.moved import Moved, detail, moved

FILE = "web-index.db"
STRETCH = 1024 * WIDTH
"""Entries of one transaction."""

_VERSION = 2
_CACHE_KIB = 65_536
_SCHEMA = """
CREATE TABLE movement (holder BLOB, place INTEGER, time_s INTEGER, kind INTEGER, detail INTEGER, unit INTEGER,
    amount_mc INTEGER, PRIMARY KEY (holder, place)) WITHOUT ROWID;
CREATE TABLE run (first INTEGER PRIMARY KEY, place INTEGER, policy BLOB);
CREATE TABLE entry (id BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID;
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), genesis BLOB, size INTEGER);
"""
_TABLES = ("movement", "run", "entry", "progress", "party")
_ADD = "INSERT OR IGNORE INTO movement VALUES (?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "SELECT place, time_s, kind, detail, unit, amount_mc FROM movement WHERE holder = ?"


class Row(NamedTuple):
    """An entry that concerns a holder. `time_s`: when it was signed, or of a mint the middle of its window, which
    says of what day it is; `detail`: the source of a mint or hold, the cause of a charge; `amount_mc`: into the
    holder's account of this unit."""

    place: int
    time_s: int
    kind: Kind
    detail: int
    unit: Unit
    amount_mc: int


class Run(NamedTuple):
    """A mint-run: where it stands, and the policy that it names."""

    place: int
    policy_sha256: bytes


class Book(Protocol):
    """What is indexed."""

    @property
    def state(self) -> State:
        """After all entries."""
        ...

    @property
    def size(self) -> int:
        """How many entries there are."""
        ...

    @property
    def charges(self) -> dict[int, Mapping[bytes, int]]:
        """By place what charges took and gave, by account, since they were last taken from here."""
        ...

    def entries(self, first: int, end: int) -> Iterator[bytes]:
        """The entries of these places; an empty one was erased."""
        ...

    def find_entry(self, entry_id: bytes) -> bytes | None:
        """The entry that has an id."""
        ...

    def find_body(self, entry_id: bytes) -> Body | None:
        """What it says, if it is signed and was not erased."""
        ...


class Index:
    """The open file; used by one thread at a time. Losing it costs one pass over the log."""

    def __init__(self, path: Path, book: Book) -> None:
        self._book, self._path = book, path
        self._shares_mc: tuple[int, int] = (0, 0)  # where the run's leaves began that were read last, and the shares
        try:
            self._size = self._begin()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def rows(
        self,
        account: bytes,
        *,
        since_s: int = 0,
        until_s: int = INT64_MAX,
        before: int = INT64_MAX,
        limit: int = -1,
        kinds: Iterable[Kind] = (),
    ) -> list[Row]:
        """Entries that concern the account's holder, the newest first: those of times in `[since_s, until_s)`, below
        the place `before`, of these kinds (all if none are named), at most `limit`."""
        wanted = ",".join(str(int(kind)) for kind in kinds)
        of_kinds = f" AND kind IN ({wanted})" if wanted else ""
        query = f"{_COLUMNS} AND place < ? AND time_s >= ? AND time_s < ?{of_kinds} ORDER BY place DESC LIMIT ?"
        return self._asked(query, holder_of(account), before, since_s, until_s, limit)

    def row(self, account: bytes, place: int) -> Row | None:
        """What an entry is for an account's holder; None if it does not concern them."""
        return next(iter(self._asked(f"{_COLUMNS} AND place = ?", holder_of(account), place)), None)

    def places(self, account: bytes, *, after: int, limit: int) -> list[int]:
        """Places above `after` of entries that concern the account's holder, ascending, at most `limit`."""
        query = f"{_COLUMNS} AND place > ? ORDER BY place LIMIT ?"
        return [row.place for row in self._asked(query, holder_of(account), after, limit)]

    def latest(self, account: bytes, *, before: int, limit: int) -> list[int]:
        """Places below `before`, the newest first."""
        return [row.place for row in self.rows(account, before=before, limit=limit)]

    def span_s(self, account: bytes) -> tuple[int, int] | None:
        """The times of the earliest and the latest entry that concerns a holder."""
        found = self._answer("SELECT min(time_s), max(time_s) FROM movement WHERE holder = ?", holder_of(account))
        first_s, last_s = found[0]
        return None if first_s is None else (first_s, last_s)

    def place_of(self, entry_id: bytes) -> int | None:
        """Where the entry with an id is."""
        found = self._answer("SELECT place FROM entry WHERE id = ?", entry_id)
        return int(found[0][0]) if found else None

    def run_of(self, place: int) -> Run | None:
        """The run that vouches for the mint leaf at a place."""
        query = "SELECT place, policy FROM run WHERE first <= ? ORDER BY first DESC LIMIT 1"
        found = self._answer(query, place)
        return Run(*found[0]) if found and found[0][0] > place else None

    def _asked(self, query: str, *values: object) -> list[Row]:
        return [
            Row(place, time_s, Kind(kind), more, Unit(unit), amount_mc)
            for place, time_s, kind, more, unit, amount_mc in self._answer(query, *values)
        ]

    def _answer(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            if not self._connection.in_transaction:  # while it catches up it asks for what came before
                self._catch_up()
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _begin(self) -> int:
        """Open the file; how much of the log it knows."""
        self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"cache_size = -{_CACHE_KIB}"):
            self._connection.execute(f"PRAGMA {pragma}")
        genesis, size = self._book.state.genesis_sha256, self._book.size
        if self._connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
            known, known_size = self._connection.execute("SELECT genesis, size FROM progress").fetchone()
            if known == genesis and known_size <= size:
                return int(known_size)
        for table in _TABLES:
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")
        self._connection.executescript(_SCHEMA)
        self._connection.execute("INSERT INTO progress VALUES (1, ?, 0)", (genesis,))
        self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        return 0

    def _catch_up(self) -> None:
        while self._size < self._book.size:
            end = min(self._size // STRETCH * STRETCH + STRETCH, self._book.size)
            self._connection.execute("BEGIN")
            try:
                self._take(list(self._book.entries(self._size, end)))
                self._connection.execute("UPDATE progress SET size = ?", (end,))
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._size = end
        self._book.charges.clear()

    def _take(self, entries: Sequence[bytes]) -> None:
        place = self._size
        rows: list[tuple[object, ...]] = []
        for is_leaves, group in groupby(entries, key=mint.is_leaf):
            stretch = list(group)
            if is_leaves:
                rows += self._of_leaves(place, stretch)
            else:
                for at, data in enumerate(stretch, place):
                    rows += self._of_signed(at, data) if data else ()
            place += len(stretch)

        self._connection.executemany(_ADD, rows)

    def _of_leaves(self, place: int, leaves: Sequence[bytes]) -> Iterable[tuple[object, ...]]:
        """Leaves of one window, in columns; what is spelled in another way, or of two windows, singly."""
        found = mint_arrays.parse(leaves)
        if found is None:
            return [row for at, data in enumerate(leaves, place) for row in self._of_leaf(at, data)]
        self._shares_mc = (place, sum(found.association_mc.tolist()))
        count, time_s = len(found), (found.window_start_s + found.window_end_s) // 2
        columns = (found.account_names(), range(place, place + count), [time_s] * count, [int(Kind.MINT)] * count)
        amounts = (found.sources.tolist(), [int(Unit.ENERGY)] * count, found.amount_mc.tolist())
        return zip(*columns, *amounts, strict=True)

    def _of_leaf(self, place: int, data: bytes) -> Iterable[tuple[object, ...]]:
        leaf = mint.parse(data)
        amount = (leaf.source, int(Unit.ENERGY), leaf.amount_mc)
        time_s = (leaf.window_start_s + leaf.window_end_s) // 2
        return [(leaf.account, place, time_s, int(Kind.MINT), *amount)]

    def _of_signed(self, place: int, data: bytes) -> Iterable[tuple[object, ...]]:
        parsed = entry.parse(data)
        assert isinstance(parsed, SignedEntry)
        body, head = parsed.entry.body, (place, parsed.entry.time_s, int(parsed.entry.kind))
        self._connection.execute("INSERT OR IGNORE INTO entry VALUES (?, ?)", (parsed.entry.id, place))
        if isinstance(body, Charge):
            charged = self._book.charges.get(place, {})
            return [
                (holder_of(account), *head, int(body.cause), int(body.unit), amount_mc)
                for account, amount_mc in charged.items()
            ]
        if isinstance(body, MintRun):
            run = (body.first, place, body.policy_sha256)
            self._connection.execute("INSERT OR IGNORE INTO run VALUES (?, ?, ?)", run)
            share_mc = self._share_mc(body)
            association = self._book.state.founded.genesis.association
            return [(association, *head, 0, int(Unit.ENERGY), share_mc)] if share_mc else []
        if isinstance(body, CarryForward):  # their entries are erased: so is what this file says of them
            self._connection.execute("DELETE FROM movement WHERE holder = ?", (body.holder,))
        found = []
        for holder in parties(parsed, self._book.state, self._book.find_entry):
            unit, amount_mc = self._moved(body, holder)
            found.append((holder, *head, detail(body), int(unit), amount_mc))
        return found

    def _share_mc(self, run: MintRun) -> int:
        """What a run gave the association beside its leaves."""
        first, shares_mc = self._shares_mc
        if first == run.first:
            return shares_mc
        leaves = (data for data in self._book.entries(run.first, run.first + run.count) if data)
        return sum(mint.parse(data).association_mc for data in leaves)

    def _moved(self, body: Body, holder: bytes) -> Moved:
        return moved(body, holder, self._book.find_body)

    def _failed(self, error: sqlite3.Error) -> StorageError:
        return StorageError(
            f"the index failed: {error}", where=self._path, to_do="make room, or delete the file; it is made anew"
        )
