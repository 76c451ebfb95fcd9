"""The schema of telemetry: the page, the tables in code and the budget of series say the same."""

import re
from pathlib import Path

import pytest

from aggregator.telemetry.cardinality import Shape, points_per_day, series
from aggregator.telemetry.measurements import HOME_MEASUREMENTS, MEASUREMENTS, TEXTS

PAGE = (Path(__file__).parents[2] / "docs" / "spec" / "telemetry.md").read_text()
UNITS = {"wh", "w", "mc", "g", "s", "ms", "bytes", "permille", "min", "max", "mv", "mhz"}
COUNTS = {
    *("sites", "mints", "spans", "figures", "entries", "runs", "size", "count", "devices", "blocks", "waiting"),
    *("received", "refused", "resent", "trusted", "jumps", "online", "offline", "ok", "silent", "doubtful", "meters"),
    *("dropped", "accepted", "duplicate", "readings", "closed", "minted", "held", "written", "aside", "skipped"),
    *("retried", "up", "points", "intervals", "expected", "asked", "30d"),
}


def tabled(page: str, first: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Tags and fields by measurement of the table in which `first` stands."""
    table = page[page.index(f"| `{first}` |") :].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {
        row[0].strip("`"): (tuple(re.findall(r"`(\w+)`", row[2])), tuple(re.findall(r"`(\w+)`", row[3])))
        for row in rows
    }


def test_page_when_compared_with_the_tables_in_code():
    """Names, tags and fields in their order, of the operator's bucket and of a home's."""
    assert tabled(PAGE, "energy_15m") == {row.name: (row.tags, row.fields) for row in MEASUREMENTS.values()}
    assert tabled(PAGE, "home_15m") == {row.name: (row.tags, row.fields) for row in HOME_MEASUREMENTS.values()}


def test_field_names_when_read_alone():
    """Every field says its unit last, or counts something that it names; a text is named as one."""
    for row in (*MEASUREMENTS.values(), *HOME_MEASUREMENTS.values()):
        for field in row.fields:
            assert field in TEXTS or field.rpartition("_")[2] in UNITS | COUNTS, field


@pytest.mark.parametrize(("meters", "communes", "series_max"), [(5_000, 1, 1_000), (1_042, 36_000, 10_000_000)])
def test_cardinality_when_budgeted(meters, communes, series_max):
    """A town stays below a thousand series, the country below ten million; the page prints both to the series."""
    shape = Shape.of_meters(meters)
    one, points = sum(series(shape).values()), points_per_day(shape)
    assert set(series(shape)) == set(MEASUREMENTS)
    assert one * communes < series_max
    cells = (communes, meters, shape.places, shape.gateways, one, one * communes, points * communes)
    assert " | ".join(f"{number:,}" for number in cells) in PAGE


def test_cardinality_when_homes_are_added():
    """Homes on the same feeders make no series: no tag is of a home, a device, an account or a person."""
    assert not {tag for row in MEASUREMENTS.values() for tag in row.tags} & {"device", "site", "account", "member"}
    assert all(row.tags == () for row in HOME_MEASUREMENTS.values())
