"""What a home may do today: when its neighbours have sun to give, and what the grid operator asks for. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from aggregator.privacy.public import PublicTotal

DAYS = 7
HOURS = 3
"""How long a wash takes."""


@dataclass(frozen=True, slots=True)
class BestHours:
    """Local hours of the day, from the first to the last's end, in which neighbours had most sun left over, and how
    much it was on average, Wh."""

    first: int
    end: int
    spare_wh: int


def best_hours(totals: Iterable[PublicTotal], zone: ZoneInfo) -> BestHours | None:
    """From the public totals of the last days; None if there was nothing to give, or it may not be told."""
    sums, days = [0] * 24, [set[int]() for _hour in range(24)]
    for total in totals:
        if total.unallocated_wh is not None:
            local = datetime.fromtimestamp(total.start_s, zone)
            sums[local.hour] += total.unallocated_wh
            days[local.hour].add(local.toordinal())
    count = len(set[int]().union(*days))
    # An hour counts that was told on half of the days at least.
    means = [wh // len(seen) if seen and 2 * len(seen) >= count else 0 for wh, seen in zip(sums, days, strict=True)]
    first = max(range(24 - HOURS + 1), key=lambda hour: (sum(means[hour : hour + HOURS]), -hour))
    spare_wh = sum(means[first : first + HOURS])
    return BestHours(first, first + HOURS, spare_wh) if spare_wh > 0 else None
