"""Every query of a dashboard, run against a real server: it must answer, plausibly, whatever the reader chooses."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice

from tests.dashboards.reading import Ask, Json, Shown, choices, filled, panels, query_of, targets

PLAUSIBLE = {
    "watth": (0, 1e9),
    "watt": (0, 1e8),
    "volt": (150, 300),
    "hertz": (45, 55),
    "percentunit": (0, 3),
    "s": (-60, 3e6),
    "bytes": (0, 1e14),
    "suffix: /s": (0, 1e6),
    "massg": (0, 1e9),
    "short": (0, 1e9),
    "none": (-1e4, 1e4),
    "suffix: cr": (0, 1e9),
    "suffix: g/kWh": (1, 1500),
    "bool_yes_no": (0, 1),
}
"""By unit: what a commune's figures lie within, in the unit of the query."""


def run(dashboard: Json, asked: Ask, shown: Shown, *, choices_max: int = 1000) -> list[str]:
    """Every failure, in words. `choices_max`: how many of the reader's choices are tried, the first is what is chosen
    to begin with."""
    ask = cache(asked)
    failures: list[str] = []
    answered: set[str] = set()
    for number, chosen in enumerate(islice(choices(dashboard, ask, shown), choices_max)):
        for panel in panels(dashboard):
            if targets(panel):
                told, failed = _run_panel(panel, chosen, ask, shown)
                answered |= told
                failures += failed if number == 0 or not told else [one for one in failed if "no data" not in one]
                failures += [] if told else [f"{panel['title']}: no data with {_said(chosen)}"]
    for panel in panels(dashboard):
        for target in targets(panel):
            if _key(panel, target) not in answered:
                failures.append(f"{panel['title']} {target['refId']}: no data, whatever is chosen")
    return sorted({*failures, *_marks(dashboard, ask, shown)})


def _run_panel(panel: Json, chosen: Mapping[str, str], ask: Ask, shown: Shown) -> tuple[set[str], list[str]]:
    """Which queries answered with numbers, and what is wrong."""
    told, failures = set(), []
    for target in targets(panel):
        where = f"{panel['title']} {target['refId']} with {_said(chosen)}"
        try:
            series = ask(query_of(panel, target, chosen, shown))
        except KeyError as error:
            failures.append(f"{where}: undefined variable {error}")
            continue
        except ValueError as error:
            failures.append(f"{where}: {error}")
            continue
        numbers = list(_numbers(series))
        if numbers:
            told.add(_key(panel, target))
        failures += [f"{where}: {mistake}" for mistake in _implausible(panel, series, numbers)]
    return told, failures


def _implausible(panel: Json, series: list[Json], numbers: list[float]) -> Iterator[str]:
    low, high = PLAUSIBLE.get(panel["fieldConfig"]["defaults"]["unit"], (math.inf, -math.inf))
    is_table = panel["type"] == "table"
    if numbers and not is_table and not low <= min(numbers) <= max(numbers) <= high:
        yield f"implausible {min(numbers):.4g} to {max(numbers):.4g} {panel['fieldConfig']['defaults']['unit']}"
    for one in series:
        yield from (f"a series without {name}" for name, value in one.get("tags", {}).items() if not value)


def _numbers(series: list[Json]) -> Iterator[float]:
    for one in series:
        for row in one["values"]:
            yield from (value for value in row[1:] if isinstance(value, int | float))


def _marks(dashboard: Json, ask: Ask, shown: Shown) -> Iterator[str]:
    begin = next(choices(dashboard, ask, shown))
    for mark in dashboard["annotations"].get("list", []):
        target = mark["target"]
        columns = [name for series in ask(filled(target["query"], begin, shown)) for name in series["columns"]]
        wanted = {target[name] for name in ("textColumn", "tagsColumn", "timeEndColumn") if name in target}
        if not wanted <= set(columns):
            yield f"{mark['name']}: no marks"


def _key(panel: Json, target: Json) -> str:
    return f"{panel['id']}{target['refId']}"


def _said(chosen: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in chosen.items() if name != "ds")


def figures(dashboard: Json, ask: Ask, shown: Shown) -> dict[str, dict[str, float]]:
    """What every big number and level shows to begin with, by title and legend."""
    chosen = next(choices(dashboard, ask, shown))
    told: dict[str, dict[str, float]] = {}
    for panel in panels(dashboard):
        if panel["type"] in ("stat", "bargauge"):
            reduce = _REDUCE[panel["options"]["reduceOptions"]["calcs"][0]]
            told[panel["title"]] = {
                _legend(target, one): round(reduce([row[1] for row in one["values"] if row[1] is not None]), 4)
                for target in targets(panel)
                for one in ask(query_of(panel, target, chosen, shown))
            }
    return told


_REDUCE: dict[str, Callable[[list[float]], float]] = {"lastNotNull": lambda values: values[-1], "sum": sum}


def _legend(target: Json, series: Json) -> str:
    alias = target.get("alias") or target["refId"]
    for name, value in series.get("tags", {}).items():
        alias = alias.replace(f"$tag_{name}", value)
    return str(alias)


def complete_series(ask: Ask, tags: Mapping[str, frozenset[str]]) -> list[str]:
    """Series that lack a tag which their measurement has, or have one more: points in no panel and every sum."""
    failures = []
    for (key,) in (row for series in ask("SHOW SERIES") for row in series["values"]):
        measurement, *pairs = _split(key)
        told = {pair.partition("=")[0] for pair in pairs}
        if told != tags.get(measurement, frozenset()):
            failures.append(f"series {key}: tags {sorted(told)}")
    return failures


def _split(key: str) -> list[str]:
    """A series' key at its commas, but for escaped ones."""
    return [part.replace("\0", "\\,") for part in key.replace("\\,", "\0").split(",")]
