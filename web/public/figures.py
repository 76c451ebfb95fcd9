"""The public totals as people look at them: by local day, and the last day quarter by quarter. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from aggregator.privacy.public import PublicTotal
from aggregator.privacy.rule import Withheld
from commonwatt.units import INTERVAL_S


@dataclass(frozen=True, slots=True)
class Day:
    """A local day: sums in Wh over those of its quarters of an hour (92, 96 or 100) that are told.

    A quarter is told here if supply and demand both are: only then matched energy is.
    """

    day: date
    quarters: int
    told: int
    supply_wh: int
    demand_wh: int
    matched_wh: int

    @property
    def outside_wh(self) -> int:
        """What no neighbour covered."""
        return self.demand_wh - self.matched_wh


@dataclass(frozen=True, slots=True)
class Week:
    """Some local days, and what they come to. `withheld`: why quarters are not told, the commonest first."""

    days: Sequence[Day]
    withheld: Sequence[Withheld]

    @property
    def matched_wh(self) -> int:
        """What neighbours covered of each other's use."""
        return sum(day.matched_wh for day in self.days)

    @property
    def share_permille(self) -> int | None:
        """Of the demand that is told, how much neighbours covered. None if nothing was asked for, or if quarters are
        withheld and no other shared anything: withheld sun is not no sun."""
        demand_wh = sum(day.demand_wh for day in self.days)
        if not demand_wh or (self.withheld and not self.matched_wh):
            return None
        return self.matched_wh * 1000 // demand_wh


def week(totals: Sequence[PublicTotal], zone: ZoneInfo, *, days: int = 7) -> Week:
    """The last `days` local days up to the newest total, in order; days of which nothing is known are left out."""
    by_day = groupby(totals, key=lambda total: _day_of(total.start_s, zone))
    found = [_day(day, rows, zone) for day, rows in by_day][-days:]
    reasons = [reason for total in totals for reason in total.withheld]
    return Week(found, sorted(set(reasons), key=lambda reason: (-reasons.count(reason), reason.value)))


def first_s(last_s: int, zone: ZoneInfo, *, days: int = 7) -> int:
    """When the week begins that ends with the local day of `last_s`."""
    begin = datetime.combine(_day_of(last_s, zone) - timedelta(days=days - 1), time(), zone)
    return int(begin.timestamp())


def _day(day: date, totals: Iterable[PublicTotal], zone: ZoneInfo) -> Day:
    supply_wh = demand_wh = matched_wh = told = 0
    for total in totals:
        if total.supply_wh is not None and total.demand_wh is not None and total.matched_wh is not None:
            told += 1
            supply_wh += total.supply_wh
            demand_wh += total.demand_wh
            matched_wh += total.matched_wh
    begin, end = (datetime.combine(day + timedelta(days=more), time(), zone) for more in (0, 1))
    quarters = round(end.timestamp() - begin.timestamp()) // INTERVAL_S
    return Day(day, quarters, told, supply_wh, demand_wh, matched_wh)


def _day_of(time_s: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(time_s, UTC).astimezone(zone).date()
