"""Spans of local days, and the ones that people compare them with. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from aggregator.earning.local_time import day_of, start_of
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import INTERVAL_S

WEEK = timedelta(days=7)
YEAR = timedelta(days=364)
"""52 weeks: the same days of the week, which matters more to a home than the date."""
DAYS_MAX = 3700


@dataclass(frozen=True, slots=True)
class Period:
    """Local days from `first` to `last`, both included."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def start_s(self) -> int:
        """UTC seconds; days of 23 and 25 hours are whole ones."""
        return start_of(self.first, self.zone)

    @property
    def end_s(self) -> int:
        """The end of the last day."""
        return start_of(self.last + timedelta(days=1), self.zone)

    @property
    def starts_s(self) -> NDArray[np.int64]:
        """When each of its intervals begins."""
        return np.arange(self.start_s, self.end_s, INTERVAL_S)

    def before(self) -> "Period":
        """The same days of the week, as few whole weeks earlier as do not overlap: of a week, last week."""
        return self._shifted(WEEK * -(-self.days // 7))

    def year_before(self) -> "Period":
        """The same days of the week 52 weeks earlier."""
        return self._shifted(YEAR)

    def _shifted(self, back: timedelta) -> "Period":
        return Period(self.first - back, self.last - back, self.zone)


def period(first: date | None, last: date | None, *, end_s: int, zone: ZoneInfo) -> Period:
    """What was asked for; without a last day the last Sunday whose week is over at `end_s`, without a first day the
    week of the last. UserError if it is none."""
    if last is None:
        last = latest_whole_week(end_s, zone) if first is None else day_of(end_s - 1, zone)
    found = Period(last - timedelta(days=6) if first is None else first, last, zone)
    if not 1 <= found.days <= DAYS_MAX:
        raise UserError(
            _("from {first} to {last} is no span of days").format(first=found.first, last=found.last),
            to_do=_("the last day is not before the first, and ten years are the most"),
        )
    return found


def latest_whole_week(end_s: int, zone: ZoneInfo) -> date:
    """The last Sunday that had ended at a time."""
    day = datetime.fromtimestamp(end_s, zone).date()
    return day - timedelta(days=day.isoweekday())


def covering(periods: Sequence[Period]) -> tuple[int, int]:
    """From the first moment to the last of several."""
    return min(each.start_s for each in periods), max(each.end_s for each in periods)
