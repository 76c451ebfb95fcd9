"""All movements of an account: by month or by a search, filtered, added up, and as CSV."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from commonwatt.i18n import _
from commonwatt.units import format_credits
from ledger.book.kinds import Kind
from ledger.book.units import Unit
from web.account import home, movements, sentences, summary
from web.account.movements import Movement, start_of
from web.account.reader import AccountReader, Lines, Seen
from web.account.sentences import Known
from web.book.books import Books
from web.book.followed import FollowedBook
from web.book.index import Row
from web.looks import Words
from web.month import Month
from web.units import unit_name
from web.visitor import Ask

SEARCHED_MAX = 5000
"""Entries that a search looks through, the newest first."""
WORDS_MAX = 80
COLUMNS = ["place", "time", "kind", "amount", "unit", "what", "why"]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Filter(StrEnum):
    """What is shown."""

    ALL = "all"
    EARNED = "earned"
    IN = "in"
    OUT = "out"
    REST = "rest"


def names() -> dict[Filter, str]:
    """What people call them."""
    return {
        Filter.ALL: _("Everything"),
        Filter.EARNED: _("Earned"),
        Filter.IN: _("Received"),
        Filter.OUT: _("Paid"),
        Filter.REST: _("Requests, keys, meters"),
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks to see. `words`: searched for in all months; empty: a month is shown."""

    month: Month
    filter: Filter
    words: str

    @classmethod
    def of(cls, ask: Ask, today: date) -> "Wanted":
        """From the address; what cannot be understood is left out of it."""
        told = ask.request.query_params
        month = Month.parse(told.get("month", "")) or Month(today.year, today.month)
        show = told.get("show", "")
        words = "".join(letter for letter in told.get("words", "") if letter.isprintable()).strip()[:WORDS_MAX]
        return cls(month, Filter(show) if show in set(Filter) else Filter.ALL, words)

    def shows(self, row: Row) -> bool:
        """Whether the filter lets it through."""
        is_earned = row.kind in summary.EARNING
        match self.filter:
            case Filter.EARNED:
                return is_earned
            case Filter.IN:
                return row.amount_mc > 0 and not is_earned
            case Filter.OUT:
                return row.amount_mc < 0
            case Filter.REST:
                return row.amount_mc == 0
            case Filter.ALL:
                return True


@dataclass(frozen=True, slots=True)
class Sums:
    """What came in and went out of one unit."""

    unit: Unit
    in_mc: int
    out_mc: int


def sums(rows: Sequence[Row]) -> list[Sums]:
    """By unit, of those that moved."""
    came: Counter[Unit] = Counter()
    went: Counter[Unit] = Counter()
    for row in rows:
        (came if row.amount_mc > 0 else went)[row.unit] += row.amount_mc
    return [Sums(unit, came[unit], -went[unit]) for unit in Unit if came[unit] or went[unit]]


class Listing:
    """What the page shows."""

    def __init__(self, reader: AccountReader, books: Books) -> None:
        self._reader, self._books = reader, books

    def values(self, ask: Ask, words: Words) -> dict[str, Any]:
        """For its template."""
        wanted, seen, span = self._look(ask, words)
        months = _months(span, ask.now_s, self._reader)
        return {
            "wanted": wanted,
            "filters": names(),
            "groups": home.told(movements.together(seen.movements, self._reader.zone), words, seen.known),
            "sums": [
                (words.signed(row.in_mc), words.signed(-row.out_mc), _unit(row.unit, seen.known))
                for row in sums([movement.row for movement in seen.movements])
            ],
            "before": max(
                (month for month in months if month.start_s < wanted.month.start_s), key=_start, default=None
            ),
            "after": min(
                (month for month in months if month.start_s > wanted.month.start_s), key=_start, default=None
            ),
            "is_cut": bool(wanted.words) and len(seen.movements) >= SEARCHED_MAX,
        }

    def csv(self, ask: Ask, words: Words) -> str:
        """The same as the page shows, an entry a line; amounts with a point, times in UTC."""
        _wanted, seen, _span = self._look(ask, words)
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\r\n")
        lines.writerow(COLUMNS)
        lines.writerows(_lines(seen, words, self._reader))
        return text.getvalue()

    def _look(self, ask: Ask, words: Words) -> tuple[Wanted, Seen, tuple[int, int] | None]:
        zone, holder = self._reader.zone, ask.visitor.subject
        wanted = Wanted.of(ask, movements.day_of(ask.now_s, zone))
        span: list[tuple[int, int] | None] = []

        def choose(book: FollowedBook) -> Sequence[Row]:
            span.append(book.index.span_s(holder))
            if wanted.words:
                rows = book.index.rows(holder, limit=SEARCHED_MAX)
            else:
                first, end = (start_of(date(at.year, at.month, 1), zone) for at in (wanted.month, wanted.month.next))
                rows = book.index.rows(holder, since_s=first, until_s=end)
            return [row for row in rows if wanted.shows(row)]

        if not wanted.words:
            return wanted, self._reader.see(holder, choose), span[0]
        found = _found(self._reader.see(holder, choose, lines=Lines.NONE), wanted.words, words)
        rows = [movement.row for movement in found]
        return wanted, self._reader.see(holder, lambda _book: rows), span[0]


def _found(seen: Seen, searched: str, words: Words) -> list[Movement]:
    """Those whose title, sentence or day have every word that is searched for."""
    needles = searched.casefold().split()

    def is_it(movement: Movement, known: Known) -> bool:
        (group,) = movements.together([movement], words.zone)
        said = f"{sentences.title(movement, known)} {sentences.why(group, words, known)} {words.day(group.day)}"
        return all(needle in said.casefold() for needle in needles)

    return [movement for movement in seen.movements if is_it(movement, seen.known)]


def _months(span: tuple[int, int] | None, now_s: int, reader: AccountReader) -> list[Month]:
    if span is None:
        return []
    first, last = (movements.day_of(at, reader.zone) for at in (span[0], max(span[1], now_s)))
    return Month(first.year, first.month).until(Month(last.year, last.month))


def _start(month: Month) -> int:
    return month.start_s


def _unit(unit: Unit, known: Known) -> str:
    return unit_name(known.unit_names, unit)


def _lines(seen: Seen, words: Words, reader: AccountReader) -> Iterator[list[object]]:
    for movement in seen.movements:
        row = movement.row
        (group,) = movements.together([movement], reader.zone)
        when = datetime.fromtimestamp(row.time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = (sentences.title(movement, seen.known), sentences.why(group, words, seen.known))
        amount = format_credits(row.amount_mc)
        yield [row.place, when, Kind(row.kind).label, amount, _unit(row.unit, seen.known), *map(_plain, said)]


def _plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula, whoever wrote the memo."""
    return f"'{text}" if text.startswith(_FORMULA) else text
