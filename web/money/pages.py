"""The money room of the association and the town hall, and what everybody may see of it."""

import threading
from datetime import date
from typing import Any

from starlette.responses import Response

from commonwatt.clock import Protocolar
from commonwatt.i18n import _
from ledger.book.show import source_name
from web import chart
from web.book.books import Books
from web.chart import Bar
from web.door import Page
from web.looks import Looks, Words
from web.money import figures
from web.money.days import month_of
from web.money.figures import Bars, Coverage, Guard, Movement
from web.money.people import People
from web.money.tally import SOURCES, Tally
from web.roles import EVERYBODY, Role
from web.visitor import Ask

TOWN = frozenset((Role.STEWARD, Role.TOWNHALL))
FRESH_S = 10.0
"""How long figures are good for: whoever reloads costs nothing."""
DAYS, MONTHS = 30, 12


class MoneyPages:
    """Routes of this room."""

    def __init__(self, books: Books, tally: Tally, looks: Looks, people: People, *, clock: Protocolar) -> None:
        self._books, self._tally, self._looks, self._people = books, tally, looks, people
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: tuple[float, tuple[Any, ...]] | None = None

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("money", "/money", TOWN, get=self.money),
            Page("coverage", "/coverage", EVERYBODY, get=self.coverage),
        ]

    def money(self, ask: Ask) -> Response:
        """Everything."""
        found = self._look(ask.now_s)
        return self._looks.answer(ask, "money.html", lambda words: self._money(found, words))

    def coverage(self, ask: Ask) -> Response:
        """What stands behind the money, for everybody."""
        covered: Coverage = self._look(ask.now_s)[0]
        return self._looks.answer(ask, "coverage.html", lambda _words: _coverage(covered))

    def _look(self, now_s: int) -> tuple[Any, ...]:
        with self._lock:
            at_s = self._clock.monotonic_s()
            if self._seen is None or at_s - self._seen[0] >= FRESH_S:
                self._seen = at_s, self._read(now_s)
            return self._seen[1]

    def _read(self, now_s: int) -> tuple[Any, ...]:
        with self._books.now() as book:
            state, tally = book.state, self._tally
            return (
                figures.coverage(state, tally),
                figures.movement(state, tally, now_s),
                figures.guards(state, tally, now_s),
                figures.sellers(state, tally, now_s),
                figures.earnings_by_day(tally, now_s, DAYS),
                figures.earnings_by_month(tally, now_s, MONTHS),
                figures.volume_by_month(tally, now_s, MONTHS),
                state.book.free_mc(state.founded.genesis.association),
            )

    def _money(self, found: tuple[Any, ...], words: Words) -> dict[str, Any]:
        covered, moved, guards, sellers, days, months, volume, own_mc = found
        return {
            **_coverage(covered),
            "moved": moved,
            "measures": _measures(moved, words),
            "guards": [(guard, *_guard_words(guard, words)) for guard in guards],
            "sellers": [(seller, self._people.of(seller.holder)) for seller in sellers],
            "sellers_over": sum(row.is_over for row in sellers),
            "own_mc": own_mc,
            "sources": [(number, source_name(number)) for number in _told(days, months)],
            "days_sum_mc": sum(map(sum, days.rows)),
            "months": [(month_of(at), sum(row)) for at, row in zip(months.at, months.rows, strict=True) if any(row)],
            "days_chart": _chart(days, words, is_month=False, title=_("The association's share by day")),
            "months_chart": _chart(months, words, is_month=True, title=_("The association's share by month")),
            "volume_chart": _chart(volume, words, is_month=True, title=_("Payments by month"), kinds=("outside",)),
        }


def _coverage(covered: Coverage) -> dict[str, Any]:
    return {
        "covered": covered,
        "origins": [(row, source_name(row.source)) for row in covered.origins],
    }


def _told(*bars: Bars) -> list[int]:
    """The sources that have anything."""
    return [at + 1 for at in range(SOURCES) if any(row[at] for one in bars for row in one.rows)]


def _chart(bars: Bars, words: Words, *, is_month: bool, title: str, kinds: tuple[str, ...] = ()) -> Any:
    kinds = kinds or tuple(f"source-{number}" for number in range(1, SOURCES + 1))
    rows = []
    for number, (at, amounts) in enumerate(zip(bars.at, bars.rows, strict=True)):
        day = date(at // 12, at % 12 + 1, 1) if is_month else date.fromordinal(at)
        name = words.month(month_of(at)) if is_month else words.day(day)
        label = words.month_letter(day) if is_month else (str(day.day) if number % 5 == 4 else "")
        rows.append(Bar(list(zip(kinds, amounts, strict=True)), label, f"{name}: {words.exact(sum(amounts))}"))
    return chart.bars(rows, title=title)


def _measures(moved: Movement, words: Words) -> list[tuple[str, str, str]]:
    """Figure, what it is, and what it is counted from."""
    none = "–"
    velocity = none if moved.velocity_permille is None else words.exact(moved.velocity_permille)

    def share(permille: int | None) -> str:
        return none if permille is None else words.share(permille)

    return [
        (
            _("{active} of {members}").format(active=words.count(moved.active), members=words.count(moved.members)),
            _("members paid or were paid in the last 90 days"),
            _("payments of any unit, by the log"),
        ),
        (
            velocity,
            _("times a year, a credit changes hands"),
            _("payments of 90 days, as for a year, over what is in circulation today"),
        ),
        (
            words.count(moved.payments_90),
            _("payments in 90 days"),
            _("{now} credits; {before} in the 90 days before").format(
                now=words.exact(moved.volume_90_mc), before=words.exact(moved.volume_before_mc)
            ),
        ),
        (
            share(moved.reconversion_permille),
            _("of the euros that came in went out again"),
            _("over the last 365 days; the Eusko had 49 % in 2020"),
        ),
        (
            share(moved.symmetry_permille),
            _("of giving and receiving is mutual"),
            _("the smaller side of each member beside the larger, over three months; 100 % is a perfect circle"),
        ),
        (
            share(moved.top_permille),
            _("of all credits lie with the tenth that has most"),
            _("half of all members have at most {amount}").format(amount=words.exact(moved.median_mc)),
        ),
    ]


def _guard_words(guard: Guard, words: Words) -> tuple[str, str, str]:
    """What is counted, how far it is, and what to do when it is near."""
    match guard.name:
        case "volume":
            return (
                _("Payments of the last 12 months"),
                _("{value} of {limit}").format(value=words.euros(guard.value), limit=words.euros(guard.limit)),
                _(
                    "Beyond a million euros a limited network is declared to the ACPR (CMF L521-3). Prepare the file"
                    " when it is near; each credit is counted as a euro."
                ),
            )
        case "circulation":
            return (
                _("Euro credits in circulation, on the average"),
                _("{value} of {limit}").format(value=words.euros(guard.value), limit=words.euros(guard.limit)),
                _("Under the small licence for electronic money (CMF L526-19): at most five million on the average."),
            )
        case _:
            return (
                _("Accounts with more than 250 euro credits"),
                words.count(guard.value),
                _("Under the small licence an instrument holds 250 euros: ask these members to spend or reconvert."),
            )
