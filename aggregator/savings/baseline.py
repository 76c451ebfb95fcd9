"""What a home would have used, told by homes like it. Pure; days in Wh as floats, NaN: not measured.

A comparison group stands for everything that moved all homes alike: temperature, but also sun, wind and the length of
the day. So a home's day is explained by the group's day, each home of the group in units of its own mean:

    y[t] = a + b · c[t],   c[t] = mean over the group of y_i[t] / mean(y_i)

fitted by least squares over the baseline. docs/decisions/0010 compares it with a model of temperature alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.float64]

AUTOCORRELATION_MAX = 0.7
"""Beyond it the estimate of so few days says nothing; the home's scatter then disqualifies it anyway."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Over the reported days that were measured: expected and used Wh, and the standard error of the expected."""

    expected_wh: float
    used_wh: float
    error_wh: float
    cv: float
    shift: float

    @property
    def saved_wh(self) -> float:
        """The point estimate; negative when more was used than expected."""
        return self.expected_wh - self.used_wh

    @property
    def score(self) -> float:
        """The saving in standard errors."""
        return self.saved_wh / self.error_wh


def alike(home: Days, group: Days, baseline_days: int, count: int) -> Days:
    """The `count` homes of `group` (homes × days) whose baseline days have a shape most like its own."""
    shape = _in_own_means(home[np.newaxis], baseline_days)[0, :baseline_days]
    shapes = _in_own_means(group, baseline_days)[:, :baseline_days]
    distances = np.nanmean((shapes - shape) ** 2, axis=1)
    closest: Days = group[np.argsort(distances, kind="stable")[:count]]
    return closest


def forecast(home: Days, group: Days, baseline_days: int) -> Forecast:
    """Fit the baseline to the group and carry it over the reported days. `home`: days; `group`: homes × days."""
    common = np.nanmean(_in_own_means(group, baseline_days), axis=0)
    known = ~np.isnan(home) & ~np.isnan(common)
    before, after = known.copy(), known.copy()
    before[baseline_days:] = False
    after[:baseline_days] = False
    design = np.column_stack([np.ones(len(common)), common])
    weights = _fit(design[before], home[before])
    residuals = home[before] - design[before] @ weights
    expected_wh = float((design[after] @ weights).sum())
    return Forecast(
        expected_wh=expected_wh,
        used_wh=float(home[after].sum()),
        error_wh=_error_of_sum(design[before], design[after].sum(axis=0), int(after.sum()), residuals),
        cv=float(np.sqrt(_variance(residuals)) / home[before].mean()),
        shift=_shift(design[before], home[before]),
    )


def _in_own_means(homes: Days, baseline_days: int) -> Days:
    scaled: Days = homes / np.nanmean(homes[:, :baseline_days], axis=1, keepdims=True)
    return scaled


def _fit(design: Days, values: Days) -> Days:
    weights: Days = np.linalg.lstsq(design, values, rcond=None)[0].astype(np.float64)
    return weights


def _variance(residuals: Days) -> float:
    return float(residuals @ residuals) / (len(residuals) - 2)


def _error_of_sum(before: Days, reported_sum: Days, reported_days: int, residuals: Days) -> float:
    """Standard error of a sum of predicted days: their own scatter and that of the fit, both widened because one
    day's departure lasts into the next (effective sample size of a first-order autoregression)."""
    square = float(residuals @ residuals)
    lag_1 = float(residuals[1:] @ residuals[:-1]) / square if square else 0.0
    lag_1 = min(max(lag_1, 0.0), AUTOCORRELATION_MAX)
    widened = _variance(residuals) * (1 + lag_1) / (1 - lag_1)
    leverage = float(reported_sum @ np.linalg.pinv(before.T @ before) @ reported_sum)
    return float(np.sqrt(widened * (reported_days + leverage)))


def _shift(design: Days, values: Days) -> float:
    """How far the second half of the baseline lies from what the first half foretells, as a share of it."""
    half = len(values) // 2
    weights = _fit(design[:half], values[:half])
    foretold = float((design[half:] @ weights).sum())
    return abs(float(values[half:].sum()) - foretold) / abs(foretold) if foretold else float("inf")
