"""The impact of a commune, or a quarter of it: from statistics that the privacy rule lets out, and nothing else."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.impact import carbon, figures
from aggregator.impact.carbon import Factors
from aggregator.impact.figures import Figure
from aggregator.impact.of_home import Impact, beside
from aggregator.impact.periods import Period
from aggregator.privacy import cells
from aggregator.privacy.ask import ask
from aggregator.privacy.statistics import Row
from commonwatt.units import INTERVAL_S

_ENERGIES = ("consumption", "import", "export", "production")


def read(
    directory: Path, cell: str, period: Period, factors: Factors, *, database_url: str = ""
) -> tuple[Impact, dict[str, str]]:
    """Figures and comparisons; and by figure why it is not told, of those that are not."""
    now, withheld = _figures(directory, cell, period, factors, database_url)
    comparisons = list(
        chain.from_iterable(
            beside(now, _figures(directory, cell, then, factors, database_url)[0], name, then)
            for name, then in (("before", period.before()), ("year_before", period.year_before()))
        )
    )
    return Impact(period, now, comparisons), withheld


def _figures(
    directory: Path, cell: str, period: Period, factors: Factors, database_url: str
) -> tuple[list[Figure], dict[str, str]]:
    days = cells.days(period.first, period.last, period.zone.key)
    daily, finely = (ask(directory, cell, days, step, database_url=database_url) for step in ("day", "15min"))
    found = [*_energies(period, daily), *_peaks(period, finely), *_carbon(period, daily, finely, factors)]
    reasons: dict[str, str] = {}
    for row in daily:
        for name, reason in row.withheld.items():
            reasons.setdefault(name.removesuffix("_wh"), reason.value)
    told = {figure.name for figure in found}
    return found, {name: why for name, why in reasons.items() if name in _ENERGIES and name not in told}


def _energies(period: Period, daily: Sequence[Row]) -> Iterator[Figure]:
    """Sums of the days that are told, and the rates: what neighbours used of each other counts as local."""
    for name in _ENERGIES:
        if told := [row.figures[f"{name}_wh"] for row in daily if f"{name}_wh" in row.figures]:
            yield _figure(period, name, sum(told), "Wh", _permille(len(told), len(daily)))
    wanted = ("consumption_wh", "production_wh", "self_consumed_wh", "matched_wh")
    whole = [row.figures for row in daily if all(name in row.figures for name in wanted)]
    if not whole:
        return
    known = _permille(len(whole), len(daily))
    used_wh, made_wh, own_wh, matched_wh = (sum(row[name] for row in whole) for name in wanted)
    local_wh = own_wh + matched_wh
    yield _figure(period, "local", local_wh, "Wh", known)
    for name, total_wh in (("self_consumption", made_wh), ("self_sufficiency", used_wh)):
        if total_wh > 0:
            yield _figure(period, name, min(1000, round(1000 * local_wh / total_wh)), "permille", known)


def _peaks(period: Period, finely: Sequence[Row]) -> Iterator[Figure]:
    for name in ("import", "export"):
        told = [(row.figures[f"{name}_wh"], -row.start_s) for row in finely if f"{name}_wh" in row.figures]
        if told:
            energy_wh, at_s = max(told)
            power_w, known = energy_wh * 3600 // INTERVAL_S, _permille(len(told), len(finely))
            yield _figure(period, f"peak_{name}", power_w, "W", known, at_s=-at_s)


def _carbon(period: Period, daily: Sequence[Row], finely: Sequence[Row], factors: Factors) -> Iterator[Figure]:
    """Quarter hours that are told take the factor of their hour; what else a day had takes the average."""
    for name, base in (("co2_avoided", "production_wh"), ("co2_imported", "import_wh")):
        told_days = [row for row in daily if base in row.figures]
        if not told_days:
            continue
        fine = [
            row
            for row in finely
            if base in row.figures and any(day.start_s <= row.start_s < day.end_s for day in told_days)
        ]
        total_wh = sum(row.figures[base] for row in told_days)
        energies = [row.figures[base] for row in fine]
        energies.append(max(0, total_wh - sum(energies)))
        starts_s = np.array([*(row.start_s for row in fine), carbon.NO_HOUR_S], np.int64)
        emitted = carbon.emitted(energies, starts_s, factors)
        known = _permille(len(told_days), len(daily))
        source = f"{figures.TOTALS}; {emitted.basis}"
        yield _figure(period, name, emitted.grams, "g", known, source=source, **figures.factor_of(emitted))


def _figure(period: Period, name: str, value: int, unit: str, known_permille: int, **more: Any) -> Figure:
    source = more.pop("source", figures.TOTALS)
    return Figure(name, value, unit, period.start_s, period.end_s, source, known_permille, **more)


def _permille(part: int, whole: int) -> int:
    return part * 1000 // whole if whole else 0
