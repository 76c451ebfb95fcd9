"""What a dashboard must be before anyone runs a query: titled, explained, linked, in order, and portable.

The rules that fit InfluxQL of Grafana's dashboard-linter, and our own.
"""

import re
from collections.abc import Iterator, Mapping

from tests.dashboards.reading import Json, panels, targets, variables

_OF_GRAFANA = {"timeFilter", "__interval", "__from", "__to", "__url_time_range", "__field", "__value", "__all"}
_VARIABLE = re.compile(r"\$\{([\w.]+)(?::\w+)?\}|\$(\w+)")
_NAME = re.compile(r'"([^"]+)"')
_PORTABLE = re.compile(r"\b(SLIMIT|SOFFSET|INTO|CONTINUOUS|DELETE|DROP|HOLT_WINTERS)\b", re.IGNORECASE)
_LONG = re.compile(r"time\(\d+[dw]\)")
_OPEN_ENDS = re.compile(r"=~ /(?!\^)|=~ /[^/]*[^$]/(?=\s|$)")
UNITS = {
    *("watth", "watt", "volt", "hertz", "percentunit", "s", "bytes", "short", "suffix: /s", "massg", "none"),
    *("suffix: cr", "suffix: g/kWh", "bool_yes_no"),
}


def lint(dashboard: Json, measurements: Mapping[str, frozenset[str]]) -> list[str]:
    """Every mistake, in words. `measurements`: tags and fields by name."""
    return [*_top(dashboard), *_layout(dashboard), *_said(dashboard), *_asked(dashboard, measurements)]


def _top(dashboard: Json) -> Iterator[str]:
    if not dashboard["uid"].startswith("cw-"):
        yield "no uid of ours"
    if dashboard["editable"] is not False:
        yield "editable: what is changed by hand is lost at the next upgrade"
    if not dashboard.get("description") or not dashboard.get("tags") or not dashboard.get("links"):
        yield "no description, tag or link"
    names = [variable["name"] for variable in variables(dashboard)]
    if names[0] != "ds":
        yield "no variable for the data source"
    text = str(dashboard)
    for variable in variables(dashboard):
        name = variable["name"]
        if not variable.get("label"):
            yield f"variable {name}: no label"
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield f"variable {name}: not refreshed when the time shown changes"
        if not re.search(rf"\$\{{?{name}\b", text):
            yield f"variable {name}: not used"
    for used in {(match[1] or match[2]).split(".")[0] for match in _VARIABLE.finditer(text)}:
        if used not in names and used not in _OF_GRAFANA and not used.startswith("tag_"):
            yield f"undefined variable ${used}"


def _layout(dashboard: Json) -> Iterator[str]:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        covered = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        if at["x"] + at["w"] > 24:
            yield f"{panel['title']}: outside the 24 columns"
        if cells & covered:
            yield f"{panel['title']}: overlaps another"
        cells |= covered
    for what in ("id", "title"):
        told = [panel[what] for panel in dashboard["panels"]]
        yield from (f"{what} {one}: twice" for one in {one for one in told if told.count(one) > 1})
    bottom = max(y for _x, y in cells) + 1
    if len(cells) != 24 * bottom:
        yield f"{24 * bottom - len(cells)} cells of the screen are empty"


def _said(dashboard: Json) -> Iterator[str]:
    for panel in panels(dashboard):
        title = panel["title"]
        if panel["type"] == "text":
            if len(panel["options"]["content"]) < 40:
                yield f"{title}: says nothing"
            continue
        defaults = panel["fieldConfig"]["defaults"]
        if len(panel.get("description", "")) < 15 or not panel["description"].endswith("."):
            yield f"{title}: no sentence that explains it"
        if defaults.get("unit") not in UNITS:
            yield f"{title}: unit {defaults.get('unit')}"
        if not defaults.get("thresholds", {}).get("steps") and not defaults.get("mappings"):
            yield f"{title}: no thresholds"
        if not panel.get("links"):
            yield f"{title}: no link"
        if not defaults.get("noValue") or defaults["noValue"] == "0":
            yield f"{title}: does not say what it means that nothing is there"
        if panel["datasource"]["uid"] != "${ds}":
            yield f"{title}: not the data source chosen above"
        if _is_signed(panel) and not re.search(r"drawn upwards|dessin", panel["description"]):
            yield f"{title}: draws below the zero line and does not say which way"
        colors = [override for override in panel["fieldConfig"]["overrides"] if override["matcher"]["id"] == "byName"]
        legends = {re.sub(r"\$tag_\w+", "*", target.get("alias", "")) for target in targets(panel)}
        for override in colors if panel["type"] == "timeseries" else []:
            if not any(_may_be(legend, override["matcher"]["options"]) for legend in legends):
                yield f"{title}: a colour for {override['matcher']['options']}, which is never drawn"


def _is_signed(panel: Json) -> bool:
    return any(
        value.get("id") == "custom.transform"
        for override in panel["fieldConfig"]["overrides"]
        for value in override["properties"]
    )


def _may_be(legend: str, name: str) -> bool:
    return re.fullmatch(re.escape(legend).replace(r"\*", ".+"), name) is not None


def _asked(dashboard: Json, measurements: Mapping[str, frozenset[str]]) -> Iterator[str]:
    asked = [(panel["title"], target["query"]) for panel in panels(dashboard) for target in targets(panel)]
    asked += [(mark["name"], mark["target"]["query"]) for mark in dashboard["annotations"].get("list", [])]
    for title, query in asked:
        if "$timeFilter" not in query and "${__to}" not in query:
            yield f"{title}: asks for all times"
    asked += [(f"variable {one['name']}", one["query"]) for one in variables(dashboard) if one["type"] == "query"]
    for title, query in asked:
        if _PORTABLE.search(query):
            yield f"{title}: InfluxDB 1, 2 and 3 do not all answer this"
        if _LONG.search(query) and "tz('${tz}')" not in query:
            yield f"{title}: days that begin at midnight in Greenwich"
        if "fill(previous)" in query or "fill(0)" in query:
            yield f"{title}: hides that nothing was measured"
        if _OPEN_ENDS.search(query):
            yield f"{title}: an expression that other names match, too"
        if re.search(r"'\$\{(?!level|below|tz)", query):
            yield f"{title}: a name in quotes breaks at an apostrophe"
        yield from (f"{title}: {mistake}" for mistake in words(query, measurements))


def words(query: str, measurements: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Names in a query that the telemetry does not have."""
    (measurement,) = re.findall(r'FROM "(\w+)"', query) or [""]
    if measurement not in measurements:
        yield f"measurement {measurement!r} is not written"
        return
    made = set(re.findall(r'AS "(\w+)"', query))
    for name in set(_NAME.findall(query)) - {measurement, "key"} - made:
        if name not in measurements[measurement]:
            yield f'"{name}" is not written into {measurement}'
