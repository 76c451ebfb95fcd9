"""What an account earned yesterday, in seven days and this month, by source: sums of rows of the index. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from ledger.book.kinds import Kind
from web.account.movements import day_of, start_of
from web.book.index import Row

EARNING = (Kind.MINT, Kind.MINT_RUN)
"""Kinds by which something is earned; the second is the association's share."""
SHARE = 0
"""Stands for a source where the association's share is meant."""
WEEK_DAYS = 7


class When(Enum):
    """Of which day the summary speaks."""

    YESTERDAY = "yesterday"
    TODAY = "today"
    EARLIER = "earlier"


@dataclass(frozen=True, slots=True)
class Earned:
    """`by_source_mc`: of `day`, the most first; `places`: its mints. The sums are of the days up to today."""

    when: When
    day: date
    by_source_mc: Mapping[int, int]
    places: Sequence[int]
    week_mc: int
    month_mc: int

    @property
    def amount_mc(self) -> int:
        """Of the day."""
        return sum(self.by_source_mc.values())


def since_s(now_s: int, zone: ZoneInfo) -> int:
    """From when rows are needed: the beginning of the month or of the week, whichever was earlier."""
    today = day_of(now_s, zone)
    return start_of(min(today.replace(day=1), today - timedelta(days=WEEK_DAYS)), zone)


def earned(rows: Sequence[Row], now_s: int, zone: ZoneInfo) -> Earned | None:
    """The last full day on which anything was earned, or today if there was none; None if nothing was. `rows`: of
    EARNING kinds, the newest first, from `since_s` on, or at least the last ones."""
    today = day_of(now_s, zone)
    by_day: dict[date, list[Row]] = {}
    for row in rows:
        by_day.setdefault(day_of(row.time_s, zone), []).append(row)
    past = [day for day in by_day if day < today]
    if not by_day:
        return None
    day = max(past) if past else max(by_day)
    sums: Counter[int] = Counter()
    for row in by_day[day]:
        sums[row.detail if row.kind is Kind.MINT else SHARE] += row.amount_mc
    when = When.TODAY if day == today else When.YESTERDAY if day == today - timedelta(days=1) else When.EARLIER
    return Earned(
        when,
        day,
        dict(sorted(sums.items(), key=lambda row: -row[1])),
        [row.place for row in by_day[day]],
        week_mc=_sum(by_day, today - timedelta(days=WEEK_DAYS), today - timedelta(days=1)),
        month_mc=_sum(by_day, today.replace(day=1), today),
    )


def _sum(by_day: Mapping[date, Sequence[Row]], first: date, last: date) -> int:
    return sum(row.amount_mc for day, rows in by_day.items() if first <= day <= last for row in rows)
