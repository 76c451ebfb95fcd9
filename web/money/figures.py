"""What stands behind the money, how it moves, and how near it is to what the law allows. Pure: a state and sums in.

Amounts are thousandths of a unit; euros are cents. A credit is set against a euro where the law counts euros: nobody
here prices it lower, so a limit is reached too early rather than too late.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np

from commonwatt.registry import Status
from ledger.book import mint
from ledger.book.account_columns import view
from ledger.book.accounts import NOTHING
from ledger.book.kinds import Subject
from ledger.book.payments import MC_PER_CENT
from ledger.book.state import State
from ledger.book.units import ISSUANCE, RESERVE, SYSTEM_HOLDERS, Unit, account_in, holder_of, unit_of
from web.money.days import number_of_month
from web.money.tally import SOURCES, Day, Integers, Of, Tally

ACTIVE_DAYS = 90
YEAR_DAYS = 365
DAY_S = 86_400
NEAR_PERMILLE = 800
"""From so much of a limit on it is said that it is near."""

VOLUME_CENTS_MAX = 100_000_000
"""Payments of twelve rolling months in a limited network: beyond a million euros the ACPR is told (CMF L521-3)."""
CIRCULATION_CENTS_MAX = 500_000_000
"""Average circulation under the small licence for electronic money (CMF L526-19): five million euros."""
HOLDING_MC_MAX = 250_000
"""Of one instrument under that licence: 250 euros."""
SALES_MAX, SALES_CENTS_MAX = 30, 200_000
"""A seller with fewer sales and no more euros in a calendar year is not declared (CGI 1649 ter A, DAC7)."""

NO_ENERGY = frozenset((mint.SOURCE_SHIFTING, mint.SOURCE_DECLARED))
"""Sources whose energy is no further energy: use that only moved, or none at all."""
BOTH_SIDES = (mint.SOURCE_PRODUCTION, mint.SOURCE_MATCHED)
"""The same kilowatt-hours, from the side of who made and of who used them: the larger side counts."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What one source made under one version of the policy. `is_backing`: its energy stands behind credits."""

    source: int
    version: int
    credits_mc: int
    share_mc: int
    energy_wh: int
    is_backing: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """Units that are out, and what stands behind them. `reconvertible_mc`: euro units in shops' hands, which alone
    can become euros again; `mutual_mc` and `hours_mc`: what members hold there, which other members owe."""

    origins: tuple[Origin, ...]
    energy_mc: int
    backing_wh: int
    euro_mc: int
    reserve_mc: int
    reconvertible_mc: int
    mutual_mc: int
    hours_mc: int
    has_euros: bool

    @property
    def euro_permille(self) -> int | None:
        """Euros in the reserve for each that is owed."""
        return self.reserve_mc * 1000 // self.euro_mc if self.euro_mc else None

    @property
    def energy_permille(self) -> int | None:
        """Kilowatt-hours measured for each credit that is out."""
        return self.backing_wh * 1000 // self.energy_mc if self.energy_mc else None


@dataclass(frozen=True, slots=True)
class Movement:
    """How the money moves. `velocity_permille`: how often a credit changes hands in a year, in thousandths, by the
    last 90 days; `symmetry_permille`: of what members give and receive, how much is given back; `top_permille`: of
    what members hold, what the tenth with most holds; `median_mc`: what half of them hold at most."""

    velocity_permille: int | None
    active: int
    members: int
    payments_90: int
    volume_90_mc: int
    volume_before_mc: int
    reconversion_permille: int | None
    symmetry_permille: int | None
    top_permille: int | None
    median_mc: int


class Standing(StrEnum):
    """Where a counter stands."""

    FAR = "far"
    NEAR = "near"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Guard:
    """A counter that the law sets. `value` and `limit`: in cents, or how many."""

    name: str
    value: int
    limit: int

    @property
    def standing(self) -> Standing:
        """Far from it, near, or beyond."""
        if self.value > self.limit:
            return Standing.OVER
        return Standing.NEAR if self.value * 1000 >= self.limit * NEAR_PERMILLE and self.value else Standing.FAR


@dataclass(frozen=True, slots=True)
class Seller:
    """Whose sales of this calendar year are declared, or soon."""

    holder: bytes
    sales: int
    cents: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class Bars:
    """The association's earnings, or payments, by month or day: ordinals or numbers of months, and a row for each."""

    at: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...]


def coverage(state: State, tally: Tally) -> Coverage:
    """What is out and what stands behind it, now."""
    book = state.book
    sums_wh = {side: sum(int(row[2]) for at, row in tally.origins.items() if at[0] == side) for side in BOTH_SIDES}
    apart = NO_ENERGY | {min(BOTH_SIDES, key=lambda side: (sums_wh[side], -side))}
    origins = tuple(
        Origin(source, version, int(row[0]), int(row[1]), int(row[2]), source not in apart)
        for (source, version), row in sorted(tally.origins.items())
    )
    shops = [holder for holder, subject in holders(state).items() if subject is Subject.MERCHANT]
    euro = account_in(ISSUANCE, Unit.EURO)
    return Coverage(
        origins=origins,
        energy_mc=-book.accounts.get(ISSUANCE, NOTHING).balance_mc,
        backing_wh=sum(row.energy_wh for row in origins if row.is_backing),
        euro_mc=-book.accounts.get(euro, NOTHING).balance_mc,
        reserve_mc=book.accounts.get(account_in(RESERVE, Unit.EURO), NOTHING).balance_mc,
        reconvertible_mc=sum(book.accounts.get(account_in(shop, Unit.EURO), NOTHING).balance_mc for shop in shops),
        mutual_mc=_held(state, Unit.MUTUAL),
        hours_mc=_held(state, Unit.HOURS),
        has_euros=state.founded.genesis.has_unit(Unit.EURO),
    )


def movement(state: State, tally: Tally, now_s: int) -> Movement:
    """How the money has moved until now."""
    today = tally.days_of.day(now_s)
    last, before = (
        tally.span(today - ACTIVE_DAYS + 1, today),
        tally.span(today - 2 * ACTIVE_DAYS + 1, today - ACTIVE_DAYS),
    )
    year = tally.span(today - YEAR_DAYS + 1, today)
    members = holders(state)
    numbers = _numbers(state, list(members))
    held_mc = np.sort(_balances(state)[numbers]) if len(numbers) else np.zeros(0, dtype=np.int64)
    volume_mc = _money_volume(last)
    out_mc = _held(state, Unit.ENERGY) + _held(state, Unit.EURO) + _held(state, Unit.MUTUAL)
    bought = int(year[Day.BOUGHT_CENTS])
    return Movement(
        velocity_permille=volume_mc * YEAR_DAYS * 1000 // (ACTIVE_DAYS * out_mc) if out_mc else None,
        active=_active(state, tally, members, now_s),
        members=len(members),
        payments_90=int(last[Day.PAYMENTS + 1 : Day.PAYMENTS + 1 + len(Unit)].sum()),
        volume_90_mc=volume_mc,
        volume_before_mc=_money_volume(before),
        reconversion_permille=int(year[Day.REDEEMED_CENTS]) * 1000 // bought if bought else None,
        symmetry_permille=_symmetry(tally, numbers, date.fromordinal(today)),
        top_permille=_top(held_mc),
        median_mc=int(held_mc[len(held_mc) // 2]) if len(held_mc) else 0,
    )


def guards(state: State, tally: Tally, now_s: int) -> list[Guard]:
    """The law's counters but for those of sellers."""
    today = tally.days_of.day(now_s)
    year = tally.span(today - YEAR_DAYS + 1, today)
    accounts, balances = state.book.accounts, _balances(state)
    is_euro = _is_of(state, Unit.EURO)
    return [
        Guard("volume", _money_volume(year) // MC_PER_CENT, VOLUME_CENTS_MAX),
        Guard("circulation", _average_cents(tally, today), CIRCULATION_CENTS_MAX),
        Guard("holdings", int((balances[is_euro] > HOLDING_MC_MAX).sum()) if len(accounts) else 0, 0),
    ]


def sellers(state: State, tally: Tally, now_s: int) -> list[Seller]:
    """Members and shops whose sales of this calendar year are to be declared, and those who are near it."""
    year = date.fromordinal(tally.days_of.day(now_s)).year
    sales: Integers = np.zeros(len(tally.known_mc), dtype=np.int64)
    volume_mc: Integers = np.zeros(len(tally.known_mc), dtype=np.int64)
    for month, rows in tally.months.items():
        if month // 12 == year:
            sales += rows[:, Of.RECEIPTS]
            volume_mc += rows[:, Of.RECEIVED]
    by_holder: dict[bytes, list[int]] = {}
    for number in np.flatnonzero(sales).tolist():
        name = state.book.accounts.names[number]
        if unit_of(name) is not Unit.HOURS:
            row = by_holder.setdefault(holder_of(name), [0, 0])
            row[0] += int(sales[number])
            row[1] += int(volume_mc[number]) // MC_PER_CENT
    found = [
        Seller(holder, count, cents, count >= SALES_MAX or cents > SALES_CENTS_MAX)
        for holder, (count, cents) in by_holder.items()
        if count * 1000 >= SALES_MAX * NEAR_PERMILLE or cents * 1000 >= SALES_CENTS_MAX * NEAR_PERMILLE
    ]
    return sorted(found, key=lambda row: (-row.cents, -row.sales, row.holder))


def earnings_by_day(tally: Tally, now_s: int, days: int) -> Bars:
    """The association's share by day, a number for each source."""
    today = tally.days_of.day(now_s)
    at = tuple(range(today - days + 1, today + 1))
    rows = (tally.days.get(day) for day in at)
    return Bars(at, tuple(_shares(row) for row in rows))


def earnings_by_month(tally: Tally, now_s: int, months: int) -> Bars:
    """The same by month."""
    last = number_of_month(date.fromordinal(tally.days_of.day(now_s)))
    sums: dict[int, Integers] = {}
    for day, row in tally.days.items():
        month = number_of_month(date.fromordinal(day))
        sums[month] = sums.get(month, np.zeros_like(row)) + row
    at = tuple(range(last - months + 1, last + 1))
    return Bars(at, tuple(_shares(sums.get(month)) for month in at))


def volume_by_month(tally: Tally, now_s: int, months: int) -> Bars:
    """Payments by month: their sum over the units of money."""
    last = number_of_month(date.fromordinal(tally.days_of.day(now_s)))
    sums: dict[int, int] = {}
    for day, row in tally.days.items():
        month = number_of_month(date.fromordinal(day))
        sums[month] = sums.get(month, 0) + _money_volume(row)
    at = tuple(range(last - months + 1, last + 1))
    return Bars(at, tuple((sums.get(month, 0),) for month in at))


def holders(state: State) -> Mapping[bytes, Subject]:
    """Members and shops who take part now."""
    rows = state.admissions.by_id.accounts.rows
    return {
        row["id"].tobytes(): Subject(int(row["subject"]))
        for row in rows
        if row["status"] == Status.ACTIVE and row["subject"] in (Subject.MEMBER, Subject.MERCHANT)
    }


def _shares(row: Integers | None) -> tuple[int, ...]:
    return (0,) * SOURCES if row is None else tuple(row[Day.SHARE : Day.SHARE + SOURCES].tolist())


def _money_volume(row: Integers) -> int:
    return sum(int(row[Day.VOLUME + unit]) for unit in Unit if unit is not Unit.HOURS)


def _balances(state: State) -> Integers:
    accounts = state.book.accounts
    found: Integers = view(accounts.credits_mc) - view(accounts.debits_mc)
    return found


def _is_of(state: State, unit: Unit) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    names = state.book.accounts.names
    return np.fromiter(
        (unit_of(name) is unit and holder_of(name) not in SYSTEM_HOLDERS for name in names), np.bool_, len(names)
    )


def _held(state: State, unit: Unit) -> int:
    """What holders have of a unit, debts not taken off."""
    held_mc = _balances(state)[_is_of(state, unit)]
    return int(held_mc[held_mc > 0].sum())


def _numbers(state: State, members: list[bytes]) -> Integers:
    numbers = state.book.accounts.numbers(members)
    return numbers[numbers >= 0]


def _active(state: State, tally: Tally, members: Mapping[bytes, Subject], now_s: int) -> int:
    """Who paid or was paid in any unit in the last 90 days."""
    since_s = now_s - ACTIVE_DAYS * DAY_S
    recent = np.flatnonzero(tally.active_s >= since_s).tolist()
    names = state.book.accounts.names
    return len({holder_of(names[number]) for number in recent} & members.keys())


def _symmetry(tally: Tally, numbers: Integers, today: date) -> int | None:
    """Over the last three months, of members who gave or received: the smaller side of each beside the larger."""
    last = number_of_month(today)
    rows = sum((tally.month(month)[numbers] for month in range(last - 2, last + 1)), tally.month(0)[numbers])
    paid, received = rows[:, Of.PAID], rows[:, Of.RECEIVED]
    larger = int(np.maximum(paid, received).sum())
    return int(np.minimum(paid, received).sum()) * 1000 // larger if larger else None


def _top(held_mc: Integers) -> int | None:
    positive = held_mc[held_mc > 0]
    if not len(positive):
        return None
    top = max(1, len(held_mc) // 10)
    return int(held_mc[-top:].clip(min=0).sum()) * 1000 // int(positive.sum())


def _average_cents(tally: Tally, today: int) -> int:
    """Euro units in circulation, on the average of the days of the last twelve months."""
    first = today - YEAR_DAYS + 1
    sum_cents = 0
    for row in tally.euros:
        day = max(tally.days_of.day(row.time_s), first)
        sum_cents += row.amount_mc // MC_PER_CENT * max(0, today + 1 - day)
    begun = min((tally.days_of.day(row.time_s) for row in tally.euros), default=today)
    return sum_cents // (today + 1 - max(first, begun))
