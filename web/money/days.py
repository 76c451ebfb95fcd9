"""Which local day and month an instant lies in, asked millions of times. Pure."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from ledger.audit.export import TIME_S_MAX
from web.month import Month

QUARTER_S = 900
"""No clock on earth differs from UTC by anything else than whole quarters of an hour."""


class LocalDays:
    """Of one time zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._days: dict[int, int] = {}
        self._months: dict[int, int] = {}

    def day(self, time_s: int) -> int:
        """The ordinal of the local day (`date.fromordinal`)."""
        quarter = min(time_s, TIME_S_MAX) // QUARTER_S
        found = self._days.get(quarter)
        if found is None:
            local = datetime.fromtimestamp(quarter * QUARTER_S, UTC).astimezone(self.zone)
            found = self._days[quarter] = local.date().toordinal()
        return found

    def month(self, time_s: int) -> int:
        """The number of the local month: twelve times the year, and the month from 0."""
        day = self.day(time_s)
        found = self._months.get(day)
        if found is None:
            found = self._months[day] = number_of_month(date.fromordinal(day))
        return found


def number_of_month(day: date) -> int:
    """The number of a day's month."""
    return day.year * 12 + day.month - 1


def number_of(month: Month) -> int:
    """The number of a month."""
    return month.year * 12 + month.month - 1


def month_of(number: int) -> Month:
    """The month of a number."""
    return Month(number // 12, number % 12 + 1)
