"""The spans that a page of energy shows, and how they stand in addresses. Pure.

/energy/day/2024-07-22    /energy/week/2024-07-22 (its Monday)    /energy/month/2024-07    /energy/year/2024
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from babel.dates import format_date

_SPELLED = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")
YEARS = range(2000, 2200)
"""Dates beyond these are no dates of a meter."""


class Kind(StrEnum):
    """How long a span is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Span:
    """One of them: local days from `first` on."""

    kind: Kind
    first: date

    @classmethod
    def of(cls, kind: Kind, day: date) -> "Span":
        """The one that a day lies in."""
        match kind:
            case Kind.DAY:
                return cls(kind, day)
            case Kind.WEEK:
                return cls(kind, day - timedelta(days=day.weekday()))
            case Kind.MONTH:
                return cls(kind, day.replace(day=1))
            case Kind.YEAR:
                return cls(kind, day.replace(month=1, day=1))

    @classmethod
    def parse(cls, kind: str, text: str) -> "Span | None":
        """Of an address; None for what is no span, in one spelling only."""
        if kind not in list(Kind) or not _SPELLED.fullmatch(text):
            return None
        try:
            parts = [int(part) for part in text.split("-")]
            day = date(*[*parts, 1, 1][:3])
        except ValueError:
            return None
        found = cls.of(Kind(kind), day)
        return found if day.year in YEARS and str(found) == text else None

    def __str__(self) -> str:
        return {Kind.YEAR: f"{self.first:%Y}", Kind.MONTH: f"{self.first:%Y-%m}"}.get(self.kind, f"{self.first}")

    @property
    def path(self) -> str:
        """Its address."""
        return f"/energy/{self.kind}/{self}"

    @property
    def last(self) -> date:
        """Its last day."""
        return self.next.first - timedelta(days=1)

    @property
    def next(self) -> "Span":
        """The one after it."""
        longest = {Kind.DAY: 1, Kind.WEEK: 7, Kind.MONTH: 31, Kind.YEAR: 366}[self.kind]
        return Span.of(self.kind, self.first + timedelta(days=longest))

    @property
    def before(self) -> "Span":
        """The one before it."""
        return Span.of(self.kind, self.first - timedelta(days=1))

    @property
    def year_before(self) -> "Span":
        """A year before: of days and weeks 52 weeks, because a Monday is like a Monday."""
        if self.kind in (Kind.DAY, Kind.WEEK):
            return Span(self.kind, self.first - timedelta(days=364))
        return Span(self.kind, self.first.replace(year=self.first.year - 1))

    @property
    def days(self) -> list[date]:
        """Each of them."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def title(self, locale: str) -> str:
        """As people say it."""
        match self.kind:
            case Kind.DAY:
                return str(format_date(self.first, "EEEE d MMMM y", locale=locale))
            case Kind.WEEK:
                same = self.first.month == self.last.month
                first = format_date(self.first, "d" if same else "d MMMM", locale=locale)
                return f"{first} – {format_date(self.last, 'd MMMM y', locale=locale)}"
            case Kind.MONTH:
                return str(format_date(self.first, "LLLL y", locale=locale))
            case Kind.YEAR:
                return str(self.first.year)
