"""The operator's dashboard asks for what the aggregator writes, and says what it shows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from aggregator.telemetry.points import pipeline

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "dashboards" / "operator.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"] for variable in DASHBOARD["templating"]["list"]} | {"timeFilter", "__interval"}

_QUERY = re.compile(
    r'SELECT (?P<fields>.+) FROM "(?P<measurement>\w+)" WHERE "commune" =~ /\^\$commune\$/ AND \$timeFilter'
    r"(?: GROUP BY time\((?:\$__interval|\$bucket)\) fill\((?:null|none)\) tz\('\$tz'\))?"
)


def telemetry() -> dict[str, set[str]]:
    """Fields by measurement, as docs/spec/telemetry.md tables them (tests/aggregator hold the writer to it)."""
    page = (ROOT / "docs" / "spec" / "telemetry.md").read_text()
    table = page.partition("| measurement |")[2].partition("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0].strip("`"): set(re.findall(r"`(\w+)`", cells[3])) for cells in rows}


def queries() -> list[Any]:
    return [
        pytest.param(target["query"], id=f"{panel['title']} {target['refId']}")
        for panel in PANELS
        for target in panel["targets"]
    ]


@pytest.mark.parametrize("query", queries())
def test_query_when_held_to_the_telemetry(query: str) -> None:
    """Measurement and fields exist; daily buckets are of local days; the commune is always named."""
    match = _QUERY.fullmatch(query)
    assert match, f"not the shape that InfluxDB 1, 2 and 3 answer alike: {query}"
    written = telemetry()
    assert match["measurement"] in written
    asked = set(re.findall(r'"(\w+)"', match["fields"]))
    assert asked
    assert asked <= written[match["measurement"]]


def test_telemetry_when_read_from_its_page() -> None:
    """The page names what the queries are held to."""
    assert {"energy_15m", "mint", "pipeline"} <= set(telemetry())
    assert all(telemetry().values())


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_when_somebody_reads_it(panel: dict[str, Any]) -> None:
    """Every panel has a description, a unit, thresholds and known variables."""
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(panel))) <= VARIABLES


def test_layout_when_drawn() -> None:
    """No two panels overlap, ids are distinct, titles too, and nothing can be edited by accident."""
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _y in cells) < 24
    for key in ("id", "title"):
        values = [panel[key] for panel in DASHBOARD["panels"]]
        assert len(values) == len(set(values))
    assert DASHBOARD["editable"] is False


def test_pipeline_when_written() -> None:
    """The page tables the fields that the aggregator writes about itself."""
    state = {
        "civil_s": 1.0,
        "batches": {"received": 1, "dropped": {}},
        "blocks": {"received": 1, "accepted": 1, "duplicate": 0, "refused": {"conflict": 2}},
        "intervals": {"closed": 3},
        "windows_minted": 1,
        "frozen_devices": 0,
        "held": 0,
        "log_size": 9,
    }
    assert set(pipeline(state).fields) <= telemetry()["pipeline"]
