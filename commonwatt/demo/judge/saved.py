"""What a home saved (docs/savings.md), in plain sums: forecast from homes like it, credited at the lower bound.

A day is in Wh, none where it was not measured whole. A home's day is a + b × the mean day of the homes like it, each
in units of its own mean day of the baseline.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist, fmean
from typing import Any

MISSING, NO_USE, BACKWARDS, FEW, WEATHER_UNKNOWN, WEATHER_BEYOND, UNPREDICTABLE, CHANGED = range(1, 9)  # reasons
_USUAL = {
    "days_present_permille": 900,
    "cv_permille_max": 250,
    "shift_permille_max": 300,
    "like_homes": 15,
    "comparison_homes_min": 10,
    "confidence_permille": 850,
    "held_permille": 300,
    "weather_margin_dc": 50,
}
DAY_WH_MIN = 100
LAG_MAX = 0.7

Days = Sequence[int | None]
Point = tuple[float, float]
"""The common day and the home's."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The answer to a home: why nothing can be told (0: it can), and Wh."""

    reason: int = 0
    expected_wh: int = 0
    used_wh: int = 0
    credited_wh: int = 0
    held_wh: int = 0


@dataclass(frozen=True, slots=True)
class _Forecast:
    expected_wh: float
    used_wh: float
    error_wh: float
    scatter: float
    shift: float


def saved(
    homes: Mapping[bytes, Days],
    taking: set[bytes],
    baseline: int,
    measure: Mapping[str, Any],
    outdoor_dc: Days | None = None,
) -> dict[bytes, Saved]:
    """The answer to each home that takes part; `baseline`: how many of the days come before the reported ones.
    `outdoor_dc`: what a thermometer says of each day, if one is asked."""
    terms = {**_USUAL, **measure}
    group = {
        site: homes[site]
        for site in sorted(homes)
        if site not in taking and not _insufficient(homes[site], baseline, terms)
    }
    spread = _spread(group, baseline, terms)
    answers = {}
    for site in sorted(taking):
        reason = _insufficient(homes[site], baseline, terms)
        if not reason and len(group) < terms["comparison_homes_min"]:
            reason = FEW
        reason = reason or _weather(outdoor_dc, baseline, terms)
        forecast = None if reason else _forecast(site, homes[site], group, baseline, terms)
        reason = reason or _unsure(forecast, terms)
        answers[site] = Saved(reason) if reason or forecast is None else _answer(forecast, spread, terms)
    return answers


def _weather(outdoor_dc: Days | None, baseline: int, terms: Mapping[str, Any]) -> int:
    if outdoor_dc is None:
        return 0
    if None in outdoor_dc:
        return WEATHER_UNKNOWN
    before, after = _known(outdoor_dc[:baseline]), _known(outdoor_dc[baseline:])
    margin = terms["weather_margin_dc"]
    is_alike = min(before) - margin <= min(after) and max(after) <= max(before) + margin
    return 0 if is_alike else WEATHER_BEYOND


def released_wh(paid_wh: int, held_wh: int, again: Saved) -> int:
    """What of the hold-back proved true."""
    return max(0, min(held_wh, again.credited_wh + again.held_wh - paid_wh))


def _insufficient(days: Days, baseline: int, terms: Mapping[str, Any]) -> int:
    before, after = _known(days[:baseline]), _known(days[baseline:])
    for known, count in ((before, baseline), (after, len(days) - baseline)):
        if len(known) * 1000 < terms["days_present_permille"] * count:
            return MISSING
    if min(before + after) < 0:
        return BACKWARDS
    return NO_USE if fmean(before) < DAY_WH_MIN else 0


def _known(days: Days) -> list[int]:
    return [wh for wh in days if wh is not None]


def _forecast(
    site: bytes, days: Days, group: Mapping[bytes, Days], baseline: int, terms: Mapping[str, Any]
) -> _Forecast:
    others = [_in_means(values, baseline) for other, values in group.items() if other != site]
    shape = _in_means(days, baseline)
    others.sort(key=lambda other: _distance(other[:baseline], shape[:baseline]))
    like = others[: terms["like_homes"]]
    columns = ([wh for home in like if (wh := home[at]) is not None] for at in range(len(days)))
    common = [fmean(column) if column else None for column in columns]
    both = [
        (at, x, float(wh))
        for at, (x, wh) in enumerate(zip(common, days, strict=True))
        if x is not None and wh is not None
    ]
    before = [(x, y) for at, x, y in both if at < baseline]
    after = [(x, y) for at, x, y in both if at >= baseline]
    a, b = _line(before)
    wrong = [y - a - b * x for x, y in before]
    variance = math.fsum(r * r for r in wrong) / (len(before) - 2)
    half = len(before) // 2
    a_half, b_half = _line(before[:half])
    foretold = math.fsum(a_half + b_half * x for x, _ in before[half:])
    return _Forecast(
        expected_wh=math.fsum(a + b * x for x, _ in after),
        used_wh=math.fsum(y for _, y in after),
        error_wh=_error(before, after, wrong, variance),
        scatter=math.sqrt(variance) / fmean(y for _, y in before),
        shift=abs(math.fsum(y for _, y in before[half:]) - foretold) / abs(foretold) if foretold else math.inf,
    )


def _in_means(days: Days, baseline: int) -> list[float | None]:
    mean = fmean(_known(days[:baseline]))
    return [None if wh is None else wh / mean for wh in days]


def _distance(one: Sequence[float | None], other: Sequence[float | None]) -> float:
    squares = [(x - y) ** 2 for x, y in zip(one, other, strict=True) if x is not None and y is not None]
    return fmean(squares) if squares else math.inf


def _line(points: Sequence[Point]) -> tuple[float, float]:
    """a and b of y = a + b x by least squares."""
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    square = math.fsum((x - mean_x) ** 2 for x, _ in points)
    b = math.fsum((x - mean_x) * (y - mean_y) for x, y in points) / square
    return mean_y - b * mean_x, b


def _error(before: Sequence[Point], after: Sequence[Point], wrong: Sequence[float], variance: float) -> float:
    """The standard error of the sum over the reported days, widened by how one day's error lasts into the next."""
    square = math.fsum(r * r for r in wrong)
    lag = math.fsum(r * s for r, s in pairwise(wrong)) / square if square else 0.0
    lag = min(max(lag, 0.0), LAG_MAX)
    count, sum_x = len(after), math.fsum(x for x, _ in after)
    mean_x = fmean(x for x, _ in before)
    spread_x = math.fsum((x - mean_x) ** 2 for x, _ in before)
    leverage = count**2 / len(before) + (sum_x - count * mean_x) ** 2 / spread_x
    return math.sqrt(variance * (1 + lag) / (1 - lag) * (count + leverage))


def _unsure(forecast: _Forecast | None, terms: Mapping[str, Any]) -> int:
    if forecast is not None and forecast.scatter * 1000 > terms["cv_permille_max"]:
        return UNPREDICTABLE
    return CHANGED if forecast is not None and forecast.shift * 1000 > terms["shift_permille_max"] else 0


def _spread(group: Mapping[bytes, Days], baseline: int, terms: Mapping[str, Any]) -> float:
    """Standard errors between estimate and bound: by the normal law, or what homes that saved nothing show."""
    confidence = terms["confidence_permille"] / 1000
    by_law = NormalDist().inv_cdf(confidence)
    if len(group) < terms["comparison_homes_min"]:
        return by_law
    tried = [_forecast(site, days, group, baseline, terms) for site, days in group.items()]
    scores = sorted(
        abs(row.expected_wh - row.used_wh) / row.error_wh
        for row in tried
        if not _unsure(row, terms) and row.error_wh > 0
    )
    if not scores:
        return by_law
    place = (2 * confidence - 1) * (len(scores) - 1)
    low = math.floor(place)
    high = min(low + 1, len(scores) - 1)
    shown: float = scores[low] + (scores[high] - scores[low]) * (place - low)
    return max(by_law, shown)


def _answer(forecast: _Forecast, spread: float, terms: Mapping[str, Any]) -> Saved:
    lower_wh = max(0, int(forecast.expected_wh - forecast.used_wh - spread * forecast.error_wh))
    held_wh = lower_wh * terms["held_permille"] // 1000
    return Saved(0, round(forecast.expected_wh), round(forecast.used_wh), lower_wh - held_wh, held_wh)
