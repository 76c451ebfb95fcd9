"""What is said of the series of many devices at once is what the plain checks say of each."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.plausibility import series, series_columns
from commonwatt.page import UNKNOWN

DAY = series.STEPS_PER_DAY


def expected(check, steps):
    """The mask that the ranges of the plain check make."""
    found = np.zeros(steps.shape, dtype=np.bool_)
    for column in range(steps.shape[1]):
        for run in check([None if value == UNKNOWN else value for value in steps[:, column].tolist()]):
            found[run.start : run.stop, column] = True
    return found


@given(st.lists(st.lists(st.sampled_from([UNKNOWN, 0, 19, 20, 25, -20]), min_size=30, max_size=30), min_size=1))
def test_stuck_values_are_found_in_every_column(columns):
    """Short runs, small values, unknown steps, runs at both ends."""
    steps = np.repeat(np.array(columns).T, 3, axis=0)
    assert (series_columns.stuck(steps) == expected(series.stuck, steps)).all()


@pytest.mark.parametrize("seed", range(6))
def test_copied_days_are_found_in_every_column(seed):
    """Days copied whole or in part from one to seven days before, quiet nights, gaps, few different values."""
    rng = random.Random(seed)
    steps = np.array([[rng.randint(0, 400) for _ in range(8)] for _ in range(8 * DAY)])
    steps[:, 1] = 0
    steps[:, 2] = np.where(np.arange(8 * DAY) % DAY < 40, 0, steps[:, 2])
    steps[:, 3] = steps[:, 3] % 3
    for column in range(8):
        length = rng.choice([23, 24, 25, DAY, 3 * DAY])
        days = rng.randint(1, 7)
        start = rng.randint(days * DAY, 8 * DAY - 23)
        for at in range(start, min(start + length, 8 * DAY)):
            steps[at, column] = steps[at - days * DAY, column]
    steps[rng.randint(0, 8 * DAY - 1), 4:6] = UNKNOWN
    found = series_columns.copied(steps)
    assert (found == expected(series.copied, steps)).all()
    assert found.any()


@pytest.mark.parametrize("rows", [0, 1, 6, 7, 8, 23, DAY, DAY + 1, DAY + 24])
def test_series_that_are_short(rows):
    """Of a commune's first days little is known; nothing is found there that is not."""
    steps = np.full((rows, 2), 30)
    for name in ("stuck", "copied"):
        found = getattr(series_columns, name)(steps)
        assert (found == expected(getattr(series, name), steps)).all()
