"""Two meters of different homes that measured the same: one of them repeats the other. Pure.

Steps are a matrix as in series_columns.py: one row an interval, one column a register.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from aggregator.plausibility.series import COPIED_VALUES_MIN
from commonwatt.page import UNKNOWN, Integers
from commonwatt.units import INTERVAL_S

Mask = NDArray[np.bool_]

STRETCH = 24
"""Intervals that must be alike, as for a meter that copies itself: a quarter of a day."""
HOUR_S = 3600

# Odd numbers without a pattern (the fractional parts of multiples of the golden ratio): they only sort out who cannot
# be alike, and whoever is left is compared value by value.
_WEIGHTS = (np.arange(1, STRETCH + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)


def ends_s(start_s: int, end_s: int) -> range:
    """Where stretches end that are looked at: full hours of the window, its end included, its beginning not."""
    return range(start_s - start_s % HOUR_S + HOUR_S, end_s + 1, HOUR_S)


def stretch(steps_wh: Integers, from_s: int, end_s: int) -> Integers | None:
    """The intervals that end then; None if they are not all there. `from_s`: when the first row begins."""
    end = (end_s - from_s) // INTERVAL_S
    return steps_wh[end - STRETCH : end] if STRETCH <= end <= len(steps_wh) else None


def fingerprints(stretch_wh: Integers) -> tuple[Integers, NDArray[np.uint64]]:
    """Which columns tell something (known throughout, with so many different values that chance does not repeat
    them), and a number for each that is the same for the same values."""
    changes = np.count_nonzero(stretch_wh[1:] != stretch_wh[:-1], axis=0)
    may_be = np.flatnonzero((changes >= COPIED_VALUES_MIN - 1) & (stretch_wh != UNKNOWN).all(axis=0))
    values = np.sort(stretch_wh[:, may_be], axis=0)
    different = 1 + np.count_nonzero(values[1:] != values[:-1], axis=0)
    telling = may_be[different >= COPIED_VALUES_MIN]
    return telling, (stretch_wh[:, telling].astype(np.uint64) * _WEIGHTS[:, None]).sum(axis=0, dtype=np.uint64)


def may_be_alike(prints: NDArray[np.uint64], sites: Integers) -> Mask:
    """Which of these have the number of one of another site."""
    if not len(prints):
        return np.zeros(0, np.bool_)
    group = np.unique(prints, return_inverse=True)[1]
    pairs = np.unique(np.stack([group, sites]), axis=1)
    return np.asarray(np.bincount(pairs[0])[group] > 1)


def twins(stretch_wh: Integers, sites: Iterable[int]) -> Mask:
    """Which columns tell something and have a column of another site that is the same, to the watt-hour. Columns of
    one site may be alike: of a roof that feeds in all it makes they are."""
    found = np.zeros(stretch_wh.shape[1], np.bool_)
    telling, _prints = fingerprints(stretch_wh)
    homes = np.array(list(sites), dtype=np.int64)[telling]
    columns = np.ascontiguousarray(stretch_wh[:, telling].T)
    if len(telling):
        group = np.unique(columns.view(f"V{columns.itemsize * len(stretch_wh)}").ravel(), return_inverse=True)[1]
        found[telling] = may_be_alike(group.astype(np.uint64), homes)
    return found
