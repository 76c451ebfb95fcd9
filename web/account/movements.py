"""Entries of a holder with what they say, read from the book; and how they are put together for reading. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from ledger.book import entry
from ledger.book.body import Body
from ledger.book.entry import Entry, SignedEntry
from ledger.book.kinds import Kind
from ledger.book.mint import Mint
from ledger.book.parties import referred
from web.book.followed import FollowedBook
from web.book.index import Row

EARLIER_MAX = 3
"""A reversal names an answer, which names a request: no entry leads further back."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry for one holder. `said`: the mint leaf, or the signed entry; None: it was erased. `earlier`: the
    entries that it names, the nearest first."""

    row: Row
    said: Mint | Entry | None
    earlier: tuple[Entry, ...] = ()

    @property
    def place(self) -> int:
        """In the log."""
        return self.row.place

    @property
    def body(self) -> Body | None:
        """Of a signed entry."""
        return self.said.body if isinstance(self.said, Entry) else None

    @property
    def mint(self) -> Mint | None:
        """Of a mint."""
        return self.said if isinstance(self.said, Mint) else None


def read(book: FollowedBook, rows: Iterable[Row]) -> list[Movement]:
    """What rows of the index say, in their order."""
    return [_read(book, row) for row in rows]


def _read(book: FollowedBook, row: Row) -> Movement:
    data = book.entry(row.place)
    parsed = entry.parse(data) if data else None
    if not isinstance(parsed, SignedEntry):
        return Movement(row, parsed)
    return Movement(row, parsed.entry, tuple(_earlier(book, parsed.entry)))


def _earlier(book: FollowedBook, later: Entry) -> Iterable[Entry]:
    for _step in range(EARLIER_MAX):
        named = referred(later.body)
        data = book.find_entry(named) if named is not None else None
        parsed = entry.parse(data) if data else None
        if not isinstance(parsed, SignedEntry):
            return
        later = parsed.entry
        yield later


@dataclass(frozen=True, slots=True)
class Together:
    """Mints of one source on one day, which people read as one thing; or one movement by itself."""

    day: date
    movements: Sequence[Movement]

    @property
    def first(self) -> Movement:
        """The newest of them."""
        return self.movements[0]

    @property
    def amount_mc(self) -> int:
        """Of all of them."""
        return sum(movement.row.amount_mc for movement in self.movements)


def together(movements: Sequence[Movement], zone: ZoneInfo) -> list[Together]:
    """Movements with the mints of a source and day in one, by day, the newest first."""
    things: dict[Thing, list[Movement]] = {}
    for movement in sorted(movements, key=lambda movement: day_of(movement.row.time_s, zone), reverse=True):
        things.setdefault(_thing(movement.row, zone), []).append(movement)
    return [Together(thing[0], group) for thing, group in things.items()]


def newest(rows: Sequence[Row], count: int, zone: ZoneInfo, *, is_cut: bool) -> list[Row]:
    """The rows of the first `count` of these things, so that no more entries are read than are shown. `is_cut`: there
    are further rows, so that the last of these may not be all of its thing, which is left out."""
    things: dict[Thing, list[Row]] = {}
    for row in rows:
        things.setdefault(_thing(row, zone), []).append(row)
    if is_cut and len(things) > 1:
        del things[_thing(rows[-1], zone)]
    return [row for thing in list(things)[:count] for row in things[thing]]


Thing = tuple[date, int, int]
"""What people read as one: a day and a source of mints, or a day and a single entry."""


def _thing(row: Row, zone: ZoneInfo) -> Thing:
    day = day_of(row.time_s, zone)
    return (day, 0, row.detail) if row.kind is Kind.MINT else (day, 1, row.place)


def day_of(time_s: int, zone: ZoneInfo) -> date:
    """The commune's day of an instant."""
    return datetime.fromtimestamp(time_s, UTC).astimezone(zone).date()


def start_of(day: date, zone: ZoneInfo) -> int:
    """When a day of the commune begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
