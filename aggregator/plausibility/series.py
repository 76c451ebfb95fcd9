"""What a meter's own series shows: values that stand still, days that come twice, values out of bounds. Pure.

A series is what one register grew in consecutive steps of 15 minutes, whole Wh; None: unknown. Findings are ranges of
steps, half open, in order.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeVar

T = TypeVar("T")

Steps = Sequence[int | None]

STEPS_PER_DAY = 96
STUCK_STEPS_MIN = 8
"""Two hours: clouds and compressors never leave a quarter hour's energy the same to the watt-hour for so long."""
STUCK_WH_MIN = 20
"""Below 80 W whole watt-hours are too coarse: a standby load really looks the same for hours."""
COPIED_DAYS_MAX = 7
"""Loggers that fill a gap take the day or the week before."""
COPIED_VALUES_MIN = 12
"""So many different values make it impossible that two days are alike by chance."""


def stuck(steps: Steps) -> list[range]:
    """Runs of one value that is not small: the meter or its reader repeats itself."""
    found = []
    for value, run in _runs(steps):
        if value is not None and abs(value) >= STUCK_WH_MIN and len(run) >= STUCK_STEPS_MIN:
            found.append(run)
    return found


def copied(steps: Steps) -> list[range]:
    """Stretches of at least a quarter of a day that repeat, to the watt-hour, what stood there 1 to 7 days before."""
    found: list[range] = []
    for days in range(1, COPIED_DAYS_MAX + 1):
        shift = days * STEPS_PER_DAY
        alike = [at >= shift and steps[at] is not None and steps[at] == steps[at - shift] for at in range(len(steps))]
        for is_alike, run in _runs(alike):
            long_enough = len(run) >= STEPS_PER_DAY // 4
            if is_alike and long_enough and len({steps[at] for at in run}) >= COPIED_VALUES_MIN:
                found.append(run)
    return _merged(found)


def out_of_bounds(steps: Steps, wh_max: int) -> list[range]:
    """Steps below nothing or above what the device can carry in one of them."""
    beyond = [value is not None and not 0 <= value <= wh_max for value in steps]
    return [run for is_beyond, run in _runs(beyond) if is_beyond]


def _runs(values: Sequence[T]) -> Iterator[tuple[T, range]]:
    start = 0
    for value, group in groupby(values):
        length = sum(1 for _ in group)
        yield value, range(start, start + length)
        start += length


def _merged(ranges: list[range]) -> list[range]:
    """The same steps as few ranges, in order."""
    merged: list[range] = []
    for run in sorted(ranges, key=lambda run: run.start):
        if merged and run.start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(run.stop, merged[-1].stop))
        else:
            merged.append(run)
    return merged
