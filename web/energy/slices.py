"""A span cut into what its chart shows: hours of a day, days of a week or month, months of a year. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Self
from zoneinfo import ZoneInfo

from aggregator.earning.local_time import start_of
from aggregator.impact.home_days import HomeDay
from commonwatt.units import INTERVAL_S
from web.energy.homes import Quarters
from web.energy.spans import Kind, Span


@dataclass(frozen=True, slots=True)
class Sums:
    """What a home did in some time, Wh and mc, over the intervals that are known (`known` of `quarters`)."""

    quarters: int = 0
    known: int = 0
    used_wh: int = 0
    own_wh: int = 0
    matched_wh: int = 0
    made_wh: int = 0
    fed_wh: int = 0
    given_wh: int = 0
    production_mc: int = 0
    matched_mc: int = 0
    other_mc: int = 0

    def __add__(self, other: Self) -> "Sums":
        return Sums(*(getattr(self, row.name) + getattr(other, row.name) for row in fields(self)))

    @property
    def is_gap(self) -> bool:
        """Whether nothing is known of time that there was."""
        return self.known == 0 < self.quarters

    @property
    def neighbours_wh(self) -> int:
        """What neighbours covered of the use that was measured."""
        return max(0, min(self.matched_wh, self.used_wh - self.own_wh))

    @property
    def outside_wh(self) -> int:
        """What came from outside."""
        return max(0, self.used_wh - self.own_wh - self.neighbours_wh)

    @property
    def kept_wh(self) -> int:
        """What was made and used at home."""
        return self.own_wh

    @property
    def away_wh(self) -> int:
        """What was fed in and no neighbour used."""
        return max(0, self.fed_wh - self.given_wh)

    @property
    def earned_mc(self) -> int:
        """By every source."""
        return self.production_mc + self.matched_mc + self.other_mc

    @property
    def self_sufficiency_permille(self) -> int | None:
        """Of what was used, made at home."""
        return self.own_wh * 1000 // self.used_wh if self.used_wh > 0 else None

    @property
    def self_consumption_permille(self) -> int | None:
        """Of what was made, used at home."""
        return min(1000, self.own_wh * 1000 // self.made_wh) if self.made_wh > 0 else None

    @property
    def known_permille(self) -> int:
        """How much of the time was measured."""
        return self.known * 1000 // self.quarters if self.quarters else 0

    @classmethod
    def of(cls, day: HomeDay) -> "Sums":
        """A day's."""
        return cls(
            day.quarters,
            day.known,
            day.used_wh,
            day.local_wh,
            day.matched_wh,
            day.production_wh,
            day.export_wh,
            day.given_wh,
            day.production_mc,
            day.matched_mc,
            day.other_mc,
        )


@dataclass(frozen=True, slots=True)
class Slice:
    """A bar of the chart: what begins at a local time, and its sums. `span`: where it is looked at closer."""

    begins: datetime
    sums: Sums
    span: Span | None


@dataclass(frozen=True, slots=True)
class Days:
    """A home's days that are known, and which time there is: from the commune's first local day to `until_s`, the end
    of the last closed interval. What was not closed yet is no gap."""

    known: Mapping[date, HomeDay]
    first: date
    until_s: int
    zone: ZoneInfo

    def sums(self, day: date) -> Sums:
        """Of a day; one of which nothing is known has its time alone."""
        if day < self.first:
            return Sums()
        start_s, end_s = (start_of(each, self.zone) for each in (day, day + timedelta(days=1)))
        quarters = max(0, min(end_s, self.until_s) - start_s) // INTERVAL_S
        return replace(Sums.of(self.known[day]), quarters=quarters) if day in self.known else Sums(quarters)

    def total(self, span: Span) -> Sums:
        """Of a span."""
        return sum((self.sums(day) for day in span.days), Sums())


def cut(days: Days, span: Span) -> list[Slice]:
    """A week or month by day, a year by month."""
    if span.kind is Kind.YEAR:
        months = [Span(Kind.MONTH, date(span.first.year, month, 1)) for month in range(1, 13)]
        return [Slice(_midnight(month.first), days.total(month), month) for month in months]
    return [Slice(_midnight(day), days.sums(day), Span(Kind.DAY, day)) for day in span.days]


def hours(quarters: Quarters, until_s: int, zone: ZoneInfo) -> list[Slice]:
    """A day by hour; where the clock is set back, one hour comes twice."""
    balance = quarters.balance
    of_use = (balance.consumption_wh, balance.local_wh, quarters.matched_wh)
    of_roof = (balance.production_wh, balance.export_wh, quarters.given_wh)
    columns = (balance.starts_s, balance.known, *of_use, *of_roof)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        Slice(datetime.fromtimestamp(hour * 3600, zone), sum(_quarters(group, until_s), Sums()), None)
        for hour, group in groupby(rows, key=lambda row: row[0] // 3600)
    ]


def _quarters(rows: Iterable[Sequence[int]], until_s: int) -> Iterator[Sums]:
    for start_s, is_known, *energies_wh in rows:
        yield Sums(int(start_s < until_s), int(is_known), *energies_wh)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 a civil day's
