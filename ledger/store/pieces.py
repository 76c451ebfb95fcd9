"""How entries lie in the database: in pieces, each the entries of one commit under one tile, framed as in a bundle.

A commit of a hundred thousand mint leaves is 391 rows instead of a hundred thousand; one payment is a piece of one.
Signed entries stand a second time by their id, so that whether an id is taken needs no memory.

    piece      first 812 · count 212 · entries 00 5b 8c 01 05 … · leaf_hashes 3f09…
    entry_id   id e47f… · place 813
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from commonwatt.errors import FormatError
from ledger.log import tiles
from ledger.log.merkle import HASH_SIZE
from ledger.log.tiles import WIDTH
from ledger.store.schema import Damaged, Row, entry_id, piece

FETCH_PIECES = 32
FIND_IDS_MAX = 1000
"""Ids asked for in one query: SQLite and PostgreSQL limit the parameters of a statement at 32,766."""


class Piece(NamedTuple):
    """Entries `first` to `first + count - 1`, in the order of the table's columns; never across a tile's edge."""

    first: int
    entry_count: int
    entries: bytes
    leaf_hashes: bytes


def cut(rows: Sequence[Row]) -> Iterator[Piece]:
    """Consecutive entries as pieces."""
    for start, end in _edges(rows[0].place, len(rows)):
        part = rows[start:end]
        entries = tiles.encode_bundle([row.data for row in part])
        yield Piece(part[0].place, len(part), entries, b"".join([row.leaf_hash for row in part]))


def cut_framed(first: int, framed: bytes, starts: Sequence[int], leaf_hashes: Sequence[bytes]) -> Iterator[Piece]:
    """Entries from `first` on as pieces; they are framed already, and frame i begins at `starts[i]`."""
    for start, end in _edges(first, len(leaf_hashes)):
        entries = framed[starts[start] : starts[end]]
        yield Piece(first + start, end - start, entries, b"".join(leaf_hashes[start:end]))


def _edges(first: int, count: int) -> Iterator[tuple[int, int]]:
    """Where `count` entries from `first` on are cut: at the edges of tiles."""
    start = 0
    while start < count:
        end = min(count, start + WIDTH - (first + start) % WIDTH)
        yield start, end
        start = end


def ids_of(rows: Iterable[Row]) -> list[tuple[bytes, int]]:
    """The ids of the signed ones among entries, with their places."""
    return [(row.entry_id, row.place) for row in rows if row.entry_id is not None]


class Pieces:
    """The two tables through one connection; the caller begins and ends transactions."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._insert_piece = str(sa.insert(piece).compile(dialect=connection.dialect))
        self._insert_id = str(sa.insert(entry_id).compile(dialect=connection.dialect))
        self._find = f"{sa.select(entry_id.c.id, entry_id.c.place).compile(dialect=connection.dialect)} WHERE id IN"
        self._mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"

    def size(self) -> int:
        """How many entries there are."""
        last = self._connection.execute(_LAST).first()
        return 0 if last is None else int(last.first + last.entry_count)

    def insert(self, rows: Sequence[Piece], ids: Sequence[tuple[bytes, int]]) -> None:
        """Add pieces, and the ids of their signed entries."""
        # The driver takes rows as they are: SQLAlchemy's work per row costs as much as SQLite's.
        self._connection.exec_driver_sql(self._insert_piece, list(rows))
        if ids:
            self._connection.exec_driver_sql(self._insert_id, list(ids))

    def begin(self, place: int) -> int:
        """Where the piece begins that holds the entry at `place`, or would hold it."""
        return self._connection.scalar(_BEGIN, {"place": place}) or 0

    def read(self, first: int, count: int = FETCH_PIECES) -> list[Piece]:
        """At most `count` pieces from the one that begins at `first` on; none past the end."""
        pieces = [Piece(*row) for row in self._connection.execute(_READ, {"first": first, "count": count})]
        for row in pieces:
            if row.first != first or len(row.leaf_hashes) != HASH_SIZE * row.entry_count:
                raise Damaged(f"entries are missing after place {first}")
            first += row.entry_count
        return pieces

    def find(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """The places of those of these ids that are taken."""
        places: dict[bytes, int] = {}
        for start in range(0, len(ids), FIND_IDS_MAX):
            part = tuple(ids[start : start + FIND_IDS_MAX])
            query = f"{self._find} ({', '.join([self._mark] * len(part))})"
            places.update((row[0], row[1]) for row in self._connection.exec_driver_sql(query, part))
        return places

    def erase(self, places: Sequence[int]) -> None:
        """Empty these entries and forget their ids; their leaf hashes stay."""
        gone = set(places)
        for begin in sorted({self.begin(place) for place in gone}):
            row = self.read(begin, 1)[0]
            kept = [b"" if place in gone else data for place, data in enumerate(entries_of(row), begin)]
            change = sa.update(piece).where(piece.c.first == begin).values(entries=tiles.encode_bundle(kept))
            self._connection.execute(change)
        for start in range(0, len(places), FIND_IDS_MAX):
            part = places[start : start + FIND_IDS_MAX]
            self._connection.execute(sa.delete(entry_id).where(entry_id.c.place.in_(part)))

    def signed(self) -> int:
        """How many ids there are."""
        return self._connection.scalar(sa.select(sa.func.count()).select_from(entry_id)) or 0


def entries_of(row: Piece) -> list[bytes]:
    """The entries of a piece; Damaged if it does not hold as many as it says."""
    try:
        entries = tiles.parse_bundle(row.entries)
    except FormatError as error:
        raise Damaged(f"the entries from place {row.first} on: {error}") from error
    if len(entries) != row.entry_count:
        raise Damaged(f"entries are missing after place {row.first}")
    return entries


_LAST = sa.select(piece.c.first, piece.c.entry_count).order_by(piece.c.first.desc()).limit(1)
_BEGIN = sa.select(sa.func.max(piece.c.first)).where(piece.c.first <= sa.bindparam("place"))
_FROM = sa.select(piece).where(piece.c.first >= sa.bindparam("first")).order_by(piece.c.first)
_READ = _FROM.limit(sa.bindparam("count", type_=sa.Integer))
