"""The same as series.py for the steps of many devices at once. Pure; a test holds one against the other.

Steps are a matrix, one row an interval, one column a device; UNKNOWN: unknown. Findings are masks of that shape.
"""

import numpy as np
from numpy.typing import NDArray

from aggregator.plausibility import series
from aggregator.plausibility.series import (
    COPIED_DAYS_MAX,
    COPIED_VALUES_MIN,
    STEPS_PER_DAY,
    STUCK_STEPS_MIN,
    STUCK_WH_MIN,
)
from commonwatt.page import UNKNOWN, Integers

Mask = NDArray[np.bool_]


def stuck(steps_wh: Integers) -> Mask:
    """Where one value that is not small comes again and again."""
    is_large = (steps_wh >= STUCK_WH_MIN) | ((steps_wh <= -STUCK_WH_MIN) & (steps_wh != UNKNOWN))
    found = np.zeros(steps_wh.shape, dtype=np.bool_)
    if len(steps_wh) >= STUCK_STEPS_MIN:
        same = in_runs((steps_wh[1:] == steps_wh[:-1]) & is_large[1:], STUCK_STEPS_MIN - 1)
        found[1:] = same
        found[:-1] |= same
    return found


def copied(steps_wh: Integers) -> Mask:
    """Where a stretch of a quarter of a day repeats what stood there 1 to 7 days before.

    Stretches alike are common where little happens (a roof at night), so those with too few changes are sorted out
    here, and only what remains is looked at one by one.
    """
    found = np.zeros(steps_wh.shape, dtype=np.bool_)
    changes = np.zeros(steps_wh.shape, dtype=np.int32)
    np.cumsum(steps_wh[1:] != steps_wh[:-1], axis=0, out=changes[1:])
    may_be = np.flatnonzero(changes[-1] >= COPIED_VALUES_MIN - 1) if len(steps_wh) else np.empty(0, dtype=np.int64)
    suspects: set[int] = set()
    for days in range(1, COPIED_DAYS_MAX + 1):
        shift = days * STEPS_PER_DAY
        if shift >= len(steps_wh) or not len(may_be):
            break
        later = steps_wh[shift:, may_be]
        alike = (later == steps_wh[:-shift, may_be]) & (later != UNKNOWN)
        in_run = in_runs(alike, STEPS_PER_DAY // 4)
        at = np.flatnonzero(in_run.any(axis=0))
        changed = _changes_in_run(in_run[:, at], changes[shift:, may_be[at]])
        suspects.update(may_be[at[changed >= COPIED_VALUES_MIN - 1]].tolist())
    for column in suspects:
        steps = [None if value == UNKNOWN else value for value in steps_wh[:, column].tolist()]
        for run in series.copied(steps):
            found[run.start : run.stop, column] = True
    return found


def in_runs(is_so: Mask, length: int) -> Mask:
    """Where something is so, `length` times or more in a row."""
    if len(is_so) < length:
        return np.zeros(is_so.shape, dtype=np.bool_)
    starts, done = is_so, 1  # where so many in a row begin
    while done < length:
        more = min(done, length - done)
        starts = starts[: len(starts) - more] & starts[more:]
        done += more
    reach, done = starts, 1  # the same by doubling: each start and so many after it
    while done < length:
        more = min(done, length - done)
        longer = np.zeros((len(reach) + more, *is_so.shape[1:]), dtype=np.bool_)
        longer[: len(reach)] = reach
        longer[more:] |= reach
        reach, done = longer, done + more
    return reach


def _changes_in_run(in_run: Mask, changes: NDArray[np.int32]) -> Integers:
    """By column, the most changes of value inside one run. `changes`: how many there were up to each step."""
    is_first = in_run.copy()
    is_first[1:] &= ~in_run[:-1]
    begins = np.maximum.accumulate(np.where(is_first, changes, -1), axis=0)
    most: Integers = np.where(in_run, changes - begins, 0).max(axis=0, initial=0).astype(np.int64)
    return most
