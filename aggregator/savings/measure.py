"""Who saved how much, as far as it is sure. Pure: whole Wh in, whole Wh out.

For every home that takes part the expected use is forecast from homes that do not. How wrong such a forecast can be
is not only computed but tried: the same is done to every comparison home, none of which saved anything on purpose,
and the spread of those scores widens the bound where the computed error is too small. Credited is the lower
confidence bound, never less than nothing; part of it is held until the true-up, when more days tell the same or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from aggregator.savings.baseline import Days, Forecast, alike, forecast
from aggregator.savings.reasons import Reason
from aggregator.savings.terms import Terms

PERMILLE = 1000
DAY_WH_MIN = 100
"""A home below it on its mean day stands empty."""

DailyWh = Sequence[int | None]
"""Wh of consecutive local days; None: not measured whole."""


@dataclass(frozen=True, slots=True)
class Saving:
    """One home's answer, in Wh over the reported days that were measured.

    `reason`: why nothing can be told; then every figure is 0. Else `credited_wh` + `held_wh` is the lower bound.
    """

    reason: Reason | None = None
    expected_wh: int = 0
    used_wh: int = 0
    credited_wh: int = 0
    held_wh: int = 0

    @property
    def lower_wh(self) -> int:
        """What was saved at least, by the terms' confidence."""
        return self.credited_wh + self.held_wh


def measure(
    homes: Mapping[bytes, DailyWh],
    taking_part: frozenset[bytes],
    outdoor_dc: Sequence[int | None],
    baseline_days: int,
    terms: Terms,
) -> dict[bytes, Saving]:
    """The saving of every home that takes part, by site.

    homes: days of every home, those to compare with among them, all equally long. outdoor_dc: mean outdoor
    temperature of each day in tenths of a degree. baseline_days: how many days come before those that are reported.
    """
    days = {site: _as_days(values) for site, values in sorted(homes.items())}
    usable = {site: values for site, values in days.items() if _insufficient(values, baseline_days, terms) is None}
    group = {site: values for site, values in usable.items() if site not in taking_part}
    weather = _weather(outdoor_dc, baseline_days, terms)
    spread = _spread(group, baseline_days, terms)
    savings = {}
    for site in sorted(taking_part):
        reason = _insufficient(days[site], baseline_days, terms)
        if reason is None and len(group) < terms.comparison_homes_min:
            reason = Reason.TOO_FEW_TO_COMPARE
        reason = reason or weather
        if reason is None:
            found = _forecast(site, days[site], group, baseline_days, terms)
            reason = _unsure(found, terms)
        savings[site] = _bounded(found, spread, terms) if reason is None else Saving(reason)
    return savings


def released_wh(paid_wh: int, held_wh: int, at_true_up: Saving) -> int:
    """What of `held_wh` the true-up sets free, measured again over all the days: never what was not saved, never
    taking back what was paid."""
    return min(held_wh, max(0, at_true_up.lower_wh - paid_wh))


def _as_days(values: DailyWh) -> Days:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _insufficient(days: Days, baseline_days: int, terms: Terms) -> Reason | None:
    """What the home's own days say, before anything is computed from them."""
    for part in (days[:baseline_days], days[baseline_days:]):
        if np.count_nonzero(~np.isnan(part)) * PERMILLE < terms.days_present_permille * len(part):
            return Reason.DAYS_MISSING
    if np.nanmin(days) < 0:
        return Reason.BACKWARDS
    return Reason.NO_USE if np.nanmean(days[:baseline_days]) < DAY_WH_MIN else None


def _weather(outdoor_dc: Sequence[int | None], baseline_days: int, terms: Terms) -> Reason | None:
    """Whether the reported days were weather that the baseline has seen."""
    known = [value for value in outdoor_dc if value is not None]
    if len(known) < len(outdoor_dc):
        return Reason.WEATHER_UNKNOWN
    before, after = known[:baseline_days], known[baseline_days:]
    coldest, warmest = min(before) - terms.weather_margin_dc, max(before) + terms.weather_margin_dc
    return None if coldest <= min(after) and max(after) <= warmest else Reason.WEATHER_BEYOND


def _forecast(site: bytes, days: Days, group: Mapping[bytes, Days], baseline_days: int, terms: Terms) -> Forecast:
    others = np.array([values for other, values in group.items() if other != site])
    return forecast(days, alike(days, others, baseline_days, terms.like_homes), baseline_days)


def _unsure(found: Forecast, terms: Terms) -> Reason | None:
    if found.cv * PERMILLE > terms.cv_permille_max:
        return Reason.UNPREDICTABLE
    return Reason.CHANGED if found.shift * PERMILLE > terms.shift_permille_max else None


def _spread(group: Mapping[bytes, Days], baseline_days: int, terms: Terms) -> float:
    """How many standard errors the bound lies below the estimate: what the normal law says, or what the comparison
    homes show if that is more. Their scores are taken without sign, because so few of them fill no tail."""
    confidence = terms.confidence_permille / PERMILLE
    by_law = NormalDist().inv_cdf(confidence)
    if len(group) < terms.comparison_homes_min:
        return by_law
    tried = [_forecast(site, days, group, baseline_days, terms) for site, days in group.items()]
    scores = [abs(found.score) for found in tried if _unsure(found, terms) is None and found.error_wh > 0]
    return max(by_law, float(np.quantile(scores, 2 * confidence - 1))) if scores else by_law


def _bounded(found: Forecast, spread: float, terms: Terms) -> Saving:
    lower_wh = max(0, int(found.saved_wh - spread * found.error_wh))
    held_wh = lower_wh * terms.held_permille // PERMILLE
    return Saving(None, round(found.expected_wh), round(found.used_wh), lower_wh - held_wh, held_wh)
