"""Two meters of different homes that measured the same: one of them repeats the other. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aggregator.plausibility.series import COPIED_VALUES_MIN
from commonwatt.units import INTERVAL_S

STRETCH = 24
"""Intervals that must be alike, as for a meter that copies itself: a quarter of a day."""
HOUR_S = 3600


def twins(
    steps: NDArray[np.int64], sites: Sequence[bytes], *, from_s: int, window_s: range, unknown: int
) -> NDArray[np.bool_]:
    """Which steps lie in a stretch that a meter of another site has too, to the watt-hour; same shape as `steps`.

    `steps`: growth in Wh, one row a register, one column an interval from `from_s` on; `sites`: of each row;
    `unknown`: the value that stands for none. Looked at are the stretches that end at a full hour of the window (its
    end included, its beginning not). Meters of one site may be alike: of a roof that feeds in all it makes they are.
    """
    suspicious = np.zeros(steps.shape, np.bool_)
    place = np.unique(np.array(sites, dtype="S16"), return_inverse=True)[1]
    first_s = window_s.start - window_s.start % HOUR_S + HOUR_S
    for end_s in range(first_s, window_s.stop + 1, HOUR_S):
        end = (end_s - from_s) // INTERVAL_S
        if STRETCH <= end <= steps.shape[1]:
            stretch = np.ascontiguousarray(steps[:, end - STRETCH : end])
            rows = np.flatnonzero(_is_telling(stretch, unknown))
            rows = rows[_are_alike_elsewhere(stretch[rows], place[rows])]
            suspicious[rows, end - STRETCH : end] = True
    return suspicious


def _is_telling(stretch: NDArray[np.int64], unknown: int) -> NDArray[np.bool_]:
    """Known throughout, and with so many different values that chance does not repeat them."""
    values = np.sort(stretch, axis=1)
    different = 1 + np.count_nonzero(np.diff(values, axis=1), axis=1)
    return np.asarray((different >= COPIED_VALUES_MIN) & ~(stretch == unknown).any(axis=1))


def _are_alike_elsewhere(rows: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows of which a row of another place is a copy."""
    if len(rows) < 2:
        return np.zeros(len(rows), np.bool_)
    group = np.unique(rows.view(f"V{rows.itemsize * STRETCH}").ravel(), return_inverse=True)[1]
    pairs = np.unique(np.stack([group, place]), axis=1)
    return np.asarray(np.bincount(pairs[0], minlength=len(rows))[group] > 1)
