"""A built dashboard as a program reads it: its panels, its queries, and its variables filled in as Grafana would."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Ask = Callable[[str], list[Json]]
"""Sends a query to a database: its series."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_STEPS_S = {"1m": 60, "15m": 900, "1d": 86_400}
EVERYTHING = "$__all"


@dataclass(frozen=True)
class Shown:
    """The time that a dashboard shows, Unix seconds."""

    from_s: int
    to_s: int

    @property
    def step_s(self) -> int:
        """How far apart points are so that about a thousand fit: what Grafana calls $__interval."""
        return max(60, (self.to_s - self.from_s) // 1000 // 60 * 60)


def panels(dashboard: Json) -> list[Json]:
    """Every panel that is not a heading."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets(panel: Json) -> list[Json]:
    """Every query of a panel."""
    found: list[Json] = panel.get("targets", [])
    return found


def variables(dashboard: Json) -> list[Json]:
    """Every variable, in order: a later one may name an earlier one."""
    found: list[Json] = dashboard["templating"]["list"]
    return found


def query_of(panel: Json, target: Json, chosen: Mapping[str, str], shown: Shown) -> str:
    """A panel's query as the server gets it. KeyError names a variable that does not exist."""
    before_s = {"": 0, "7d": 7 * 86_400}[panel.get("timeShift", "")]
    at = Shown(shown.from_s - before_s, shown.to_s - before_s)
    step_s = max(at.step_s, _STEPS_S[panel.get("interval", "1m")])
    return filled(target["query"], chosen, at, step_s=step_s)


def filled(query: str, chosen: Mapping[str, str], shown: Shown, *, step_s: int = 60) -> str:
    """A query with every variable filled in."""
    of_grafana = {
        "timeFilter": f"time >= {shown.from_s}s AND time <= {shown.to_s}s",
        "__interval": f"{step_s}s",
        "__from": f"{shown.from_s * 1000}",
        "__to": f"{shown.to_s * 1000}",
    }

    def fill(match: re.Match[str]) -> str:
        name, form = match[1] or match[3], match[2]
        value = {**chosen, **of_grafana}[name]
        if form == "regex" and value != ".*":
            return _SPECIAL.sub(lambda special: "\\" + special[0], value)
        return value

    return _VARIABLE.sub(fill, query)


def choices(dashboard: Json, ask: Ask, shown: Shown) -> Iterator[dict[str, str]]:
    """What a reader may choose: everything as it is to begin with, then each value of each variable, and each value
    of a variable that depends on it."""
    begin = _chosen(dashboard, {}, ask, shown)
    yield begin
    told = {tuple(begin.items())}
    for variable in variables(dashboard):
        for value in _values(variable, begin, ask, shown):
            first = _chosen(dashboard, {variable["name"]: value}, ask, shown)
            below = [other for other in variables(dashboard) if f"${{{variable['name']}}}" in str(other.get("query"))]
            more = [
                _chosen(dashboard, {variable["name"]: value, other["name"]: one}, ask, shown)
                for other in below
                for one in _values(other, first, ask, shown)
            ]
            for choice in (first, *more):
                if tuple(choice.items()) not in told:
                    told.add(tuple(choice.items()))
                    yield choice


def _chosen(dashboard: Json, given: Mapping[str, str], ask: Ask, shown: Shown) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for variable in variables(dashboard):
        name = variable["name"]
        chosen[name] = given.get(name) or _first(variable, chosen, ask, shown)
    return chosen


def _first(variable: Json, chosen: Mapping[str, str], ask: Ask, shown: Shown) -> str:
    if variable.get("includeAll"):
        all_value: str = variable["allValue"]
        return all_value
    return next(iter(_values(variable, chosen, ask, shown)), "")


def _values(variable: Json, chosen: Mapping[str, str], ask: Ask, shown: Shown) -> list[str]:
    match variable["type"]:
        case "query":
            return [row[-1] for series in ask(filled(variable["query"], chosen, shown)) for row in series["values"]]
        case "custom":
            return [option["value"] for option in variable["options"]]
        case "textbox":
            return [variable["query"]]
    return ["db"]
