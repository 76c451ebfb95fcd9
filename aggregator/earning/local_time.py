"""Civil seconds as a commune's clock shows them. Pure; arrays of UTC seconds in, local numbers out."""

from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from commonwatt.errors import UserError
from commonwatt.i18n import _

Integers = NDArray[np.int64]
QUARTER_S = 900
DAY_S = 86_400


class LocalTimes(NamedTuple):
    """Month from January 0, day of the week from Monday 0, quarter hour of the day as the clock shows it."""

    month: Integers
    weekday: Integers
    quarter: Integers


def local_times(times_s: Integers, zone: ZoneInfo) -> LocalTimes:
    """The local time of each; where the clock is set back an hour comes twice, and is the same hour twice."""
    local_s = times_s + offsets_s(times_s, zone)
    days = local_s // DAY_S
    months = days.astype("M8[D]").astype("M8[M]").astype(np.int64) % 12
    return LocalTimes(months, (days + 3) % 7, local_s % DAY_S // QUARTER_S)


def offsets_s(times_s: Integers, zone: ZoneInfo) -> Integers:
    """How far the local clock is ahead of UTC at each time."""
    hours, places = np.unique(times_s // QUARTER_S, return_inverse=True)
    offsets = [_offset_s(int(hour) * QUARTER_S, zone) for hour in hours]
    found: Integers = np.array(offsets, dtype=np.int64)[places]
    return found


def day_of(time_s: int, zone: ZoneInfo) -> date:
    """The local day that a time lies in."""
    return datetime.fromtimestamp(time_s, zone).date()


def start_of(day: date, zone: ZoneInfo) -> int:
    """When a local day begins, UTC seconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def time_of(text: str, zone: ZoneInfo, *, where: str) -> int:
    """A local time as somebody writes it, or one with its own offset, in UTC seconds; UserError if it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            _("{text!r} is no time").format(text=text), where=where, to_do=_("write for example 2026-12-01T18:00")
        ) from error
    return int((time if time.tzinfo is not None else time.replace(tzinfo=zone)).timestamp())


def days_from(first: date, count: int) -> list[date]:
    """That many days in a row."""
    return [first + timedelta(days=number) for number in range(count)]


def _offset_s(time_s: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time_s, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
