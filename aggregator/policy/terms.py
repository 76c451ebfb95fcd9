"""What a policy says of one source: its rate, when, how far it trusts whom, how much at most, and whose share.

[production]
rate_mc_per_kwh = 700
share_permille = 50
cap_mc_per_day = 40000
grade_permille = { device = 1000, gateway = 900 }

[[production.time]]
hours = "11:00-16:00"
weekdays = "sat,sun"
months = "apr-sep"
rate_mc_per_kwh = 500
"""

import re
from collections.abc import Sequence
from functools import cached_property

from pydantic import Field, field_validator, model_validator

from aggregator.savings.terms import Terms as SavingsTerms
from commonwatt.i18n import _
from commonwatt.settings import Settings
from commonwatt.units import INT64_MAX, MC_PER_CREDIT

PERMILLE = 1000
SHARE_PERMILLE_MAX = 500
QUARTERS = 96
"""Quarter hours of a local day as its clock shows them."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_HOURS = re.compile(r"([01][0-9]|2[0-3]):(00|15|30|45)-(?:([01][0-9]|2[0-3]):(00|15|30|45)|(24):(00))")


class Time(Settings):
    """When another rate counts, by the local clock of the commune. What is left out means always."""

    hours: str = "00:00-24:00"
    """From and until, in quarter hours; "22:00-06:00" goes past midnight."""
    weekdays: str = "mon-sun"
    """Days of the week by name: ranges and lists, "mon-fri" or "sat,sun"."""
    months: str = "jan-dec"
    """Months by name, in the same way."""
    rate_mc_per_kwh: int = Field(ge=0, le=MC_PER_CREDIT, strict=True)
    """What counts instead of the source's own rate; 0: nothing is earned then."""

    @field_validator("hours")
    @classmethod
    def _are_hours(cls, hours: str) -> str:
        match = _HOURS.fullmatch(hours)
        if match is None or hours[:5] == hours[6:]:
            raise ValueError(_('hours are written "11:00-16:15", in quarter hours'))
        return hours

    @field_validator("weekdays")
    @classmethod
    def _are_weekdays(cls, text: str) -> str:
        _named(text, WEEKDAYS)
        return text

    @field_validator("months")
    @classmethod
    def _are_months(cls, text: str) -> str:
        _named(text, MONTHS)
        return text

    @cached_property
    def quarters(self) -> frozenset[int]:
        """Quarter hours of the day in which it counts, 0 to 95."""
        start, end = (int(text[:2]) * 4 + int(text[3:]) // 15 for text in (self.hours[:5], self.hours[6:]))
        return frozenset(range(start, end) if start < end else (*range(start, QUARTERS), *range(end)))

    @cached_property
    def days(self) -> frozenset[int]:
        """Days of the week, Monday 0."""
        return _named(self.weekdays, WEEKDAYS)

    @cached_property
    def month_numbers(self) -> frozenset[int]:
        """Months, January 0."""
        return _named(self.months, MONTHS)


class Grades(Settings):
    """How much of the rate counts, in thousandths, by who signed the readings."""

    device: int = Field(default=PERMILLE, ge=0, le=PERMILLE, strict=True)
    """The meter reader itself."""
    gateway: int = Field(default=PERMILLE, ge=0, le=PERMILLE, strict=True)
    """The gateway that read the meter over a bus: one more place where figures could be changed."""


class Capped(Settings):
    """Limits of what one account earns by a source."""

    cap_mc_per_window: int | None = Field(default=None, ge=0, le=INT64_MAX, strict=True)
    """The most one account earns by this source in one window; what is above it is not made, nor carried over."""
    cap_mc_per_day: int | None = Field(default=None, ge=0, le=INT64_MAX, strict=True)
    """In the windows that begin on one local day."""
    cap_mc_per_month: int | None = Field(default=None, ge=0, le=INT64_MAX, strict=True)
    """In the windows that begin in one local month."""

    @property
    def caps(self) -> tuple[tuple[str, int], ...]:
        """The caps there are, by the span of time that each is for, shortest first."""
        spans = (("window", self.cap_mc_per_window), ("day", self.cap_mc_per_day), ("month", self.cap_mc_per_month))
        return tuple((span, cap_mc) for span, cap_mc in spans if cap_mc is not None)


class Source(Capped):
    """What one source of measured claims earns."""

    rate_mc_per_kwh: int = Field(ge=0, le=MC_PER_CREDIT, strict=True)
    """Milli-credits for a kilowatt-hour, the association's share included."""
    share_permille: int | None = Field(default=None, ge=0, le=SHARE_PERMILLE_MAX, strict=True)
    """Thousandths that go to the association; left out: the policy's own."""
    time: tuple[Time, ...] = Field(default=(), max_length=32)
    """Times with a rate of their own; the first that fits counts."""
    grade_permille: Grades = Grades()
    """How much less is earned by readings that a gateway signed."""

    @property
    def is_plain(self) -> bool:
        """Whether energy times rate is all there is to it."""
        return not self.time and not self.caps and self.grade_permille == Grades()

    def rate_at(self, month: int, weekday: int, quarter: int) -> int:
        """The rate at a local time: month and day of the week from 0, quarter hour of the day."""
        for row in self.time:
            if quarter in row.quarters and weekday in row.days and month in row.month_numbers:
                return row.rate_mc_per_kwh
        return self.rate_mc_per_kwh


class Savings(Source):
    """Savings against a baseline (docs/savings.md): homes that take part are measured against homes that do not."""

    baseline_days: int = Field(default=28, ge=28, le=365, strict=True)
    """Local days before taking part, from which a home's usual use is learnt."""
    period_days: int = Field(default=21, ge=7, le=92, strict=True)
    """Local days after which what was saved is credited, again and again."""
    true_up_periods: int = Field(default=3, ge=1, le=12, strict=True)
    """So many periods are then measured again as one: what proves true of the hold-back is released."""
    measure: SavingsTerms = SavingsTerms()
    """How much must be known of a home, and how sure its saving must be."""
    station: str = Field(default="", max_length=40)
    """Whose days must be known and not be beyond those of the baseline; none: no thermometer is asked."""
    weather_days: int = Field(default=5, ge=1, le=60, strict=True)
    """With a station: so many days after its end a period is measured, so that its weather is known by then."""

    @property
    def wait_days(self) -> int:
        """Local days between the end of a period and its answer."""
        return self.weather_days if self.station else 0

    @field_validator("time")
    @classmethod
    def _by_no_times(cls, rows: tuple[Time, ...]) -> tuple[Time, ...]:
        if rows:
            raise ValueError(_("savings are measured over weeks: they have one rate at all times"))
        return rows


class Shifting(Source):
    """Use moved away from peaks, or into a surplus, that the operator announced."""

    days: int = Field(default=10, ge=4, le=20, strict=True)
    """Comparable days before an event whose mean at that time is the home's usual use."""
    sure_permille: int = Field(default=900, ge=500, le=1000, strict=True)
    """How many of a thousand such days must be foretold at least so well: what lies beyond that error is credited."""
    notice_s: int = Field(default=7200, ge=0, le=7 * 86_400, strict=True)
    """How long before it begins an event must have been announced to count."""


class Declared(Capped):
    """A value that a person declares and a second one confirms: what one unit of it earns."""

    unit: str = Field(min_length=1, max_length=20)
    """What is counted: "h", "kg", "piece"."""
    rate_mc_per_unit: int = Field(ge=0, le=10**9, strict=True)
    """Milli-credits for one unit, the association's share included: the factor that the council sets."""
    age_days_max: int = Field(default=90, ge=1, le=366, strict=True)
    """How long after the day it was done a value may still be confirmed."""

    @model_validator(mode="after")
    def _is_limited(self) -> "Declared":
        if self.cap_mc_per_month is None:
            raise ValueError(_("a declared value needs cap_mc_per_month: no meter limits it"))
        return self


class Band(Settings):
    """What the council wants of the money in circulation. Nobody is paid by it: whoever watches is told when it is
    not so."""

    coverage_permille_min: int = Field(default=PERMILLE, ge=0, le=10 * PERMILLE, strict=True)
    """So much of what is in circulation is covered, at least: credits by minted energy at par, euros by the reserve.
    At par the policy makes no more than a credit of a kilowatt-hour, so all of it is usual."""
    velocity_permille_min: int = Field(default=20, ge=0, le=10 * PERMILLE, strict=True)
    """So much of the credits in circulation changes hands in 30 days, at least: below that there is more than people
    find a use for."""


def _named(text: str, names: Sequence[str]) -> frozenset[int]:
    """Places of the names that a list of names and ranges means."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        if first not in names or (dash and last not in names):
            raise ValueError(
                _("write names like {first} or {first}-{last}, separated by commas: {names}").format(
                    first=names[0], last=names[-1], names=" ".join(names)
                )
            )
        start, end = names.index(first), names.index(last or first)
        found.update(range(start, end + 1) if start <= end else (*range(start, len(names)), *range(end + 1)))
    return frozenset(found)
