"""What the pipeline writes is in the real databases, to the Wh, however often it was written."""

import re
from collections import defaultdict

import pytest

from aggregator.telemetry.measurements import MEASUREMENTS, TEXTS
from tests.dashboards import village
from tests.dashboards.stores import influxql, promql

_LINE = re.compile(r"(?P<measurement>\w+),(?P<tags>(?:\\ |[^ ])+) (?P<fields>.+) (?P<time_s>\d+)")
_FIELD = re.compile(r'(\w+)=(?:(-?\d+)i|"((?:[^"\\]|\\.)*)")')


def journaled(filled) -> dict[str, dict[str, int]]:
    """By measurement the sum of each integer field over all points, the last of each series and time."""
    points: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for line in village.lines(filled.village.directory):
        match = _LINE.fullmatch(line)
        assert match, line
        key = (match["measurement"], match["tags"], match["time_s"])
        points[key] |= {name: int(value) for name, value, _text in _FIELD.findall(match["fields"]) if value}
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (measurement, _tags, _time), fields in points.items():
        for name, value in fields.items():
            sums[measurement][name] += value
    return sums


def test_village_when_it_has_lived(lived_village):
    """Every measurement of the page is written, with no field and no tag that the page does not name."""
    fields, tags = defaultdict(set), defaultdict(set)
    for line in village.lines(lived_village.directory):
        match = _LINE.fullmatch(line)
        assert match, line
        fields[match["measurement"]] |= {name for name, _value, _text in _FIELD.findall(match["fields"])}
        tags[match["measurement"]] |= set(re.findall(r"(?:^|(?<!\\),)(\w+)=", match["tags"]))
    assert set(fields) == set(MEASUREMENTS) - {"witness"}
    for name, found in fields.items():
        assert found <= set(MEASUREMENTS[name].fields), name
        assert tags[name] == {*MEASUREMENTS[name].tags, "commune"}
    missing = {f"{name}.{field}" for name, row in MEASUREMENTS.items() for field in row.fields if name in fields}
    missing -= {f"{name}.{field}" for name, found in fields.items() for field in found}
    assert missing <= {"pipeline.disk_free_bytes"}


def test_influxdb_when_filled(stores):
    """The sum of every field of every measurement is what the journal says."""
    for measurement, fields in journaled(stores).items():
        names = sorted(fields)
        sums = ", ".join(f'sum("{name}") AS "{name}"' for name in names)
        (series,) = influxql(stores.influx, f'SELECT {sums} FROM "{measurement}"')
        found = dict(zip(series["columns"][1:], series["values"][0][1:], strict=True))
        assert found == {name: fields[name] for name in names}, measurement


def test_victoriametrics_when_filled(stores):
    """The same there: a field is a series `<measurement>_<field>`."""
    span_s = stores.end_s - stores.start_s + 7 * village.DAY_S
    at_s = stores.end_s + village.DAY_S
    for measurement, fields in journaled(stores).items():
        for name in set(fields) - TEXTS:
            query = f"sum(sum_over_time({measurement}_{name}[{span_s}s]))"
            (found,) = promql(stores.victoria, query, at_s)
            assert int(float(found["value"][1])) == fields[name], (measurement, name)


@pytest.mark.parametrize("level", ["commune", "quarter", "feeder", "transformer"])
def test_days_when_added_up(stores, level):
    """A day is the sum of its intervals to the Wh, by the local clock, in each place of each level."""
    names = ("supply_wh", "demand_wh", "import_wh", "export_wh", "solar_wh", "matched_wh")
    where = f"WHERE level = '{level}'"
    sums = ", ".join(f'sum("{name}")' for name in names)
    first_s, end_s = "2024-07-22T22:00:00Z", "2024-07-26T22:00:00Z"
    by_day = influxql(
        stores.influx,
        f"SELECT {sums} FROM energy_15m {where} AND time >= '{first_s}' AND time < '{end_s}' "
        "GROUP BY time(1d), place tz('Europe/Paris')",
    )
    days = influxql(
        stores.influx,
        f"SELECT {', '.join(names)} FROM energy_1d {where} AND time >= '{first_s}' AND time < '{end_s}' "
        "GROUP BY place tz('Europe/Paris')",
    )
    assert len(days) == len(by_day) > 0
    for added, told in zip(by_day, days, strict=True):
        assert added["tags"] == told["tags"]
        assert added["values"] == told["values"]
        assert len(told["values"]) == 4


def test_quarters_when_added_up_to_the_commune(stores):
    """The homes of the two quarters are those of the commune: their imports of a day are its own."""
    query = "SELECT sum(import_wh) FROM energy_15m WHERE level = '{}' GROUP BY time(15m) fill(none)"
    commune, quarters = (
        dict(influxql(stores.influx, query.format(level))[0]["values"]) for level in ("commune", "quarter")
    )
    both = commune.keys() & quarters.keys()
    assert len(both) > 200
    assert all(commune[time_s] == quarters[time_s] for time_s in both)


def test_points_when_written_again(stores, tmp_path):
    """A second time changes nothing, in either: it is the same points."""
    before = journaled(stores)
    for server in (stores.influx, stores.victoria):
        village.write(stores.village.directory / "telemetry.db", server, tmp_path / server.name)
    (series,) = influxql(stores.influx, "SELECT sum(demand_wh) FROM energy_15m")
    assert series["values"][0][1] == before["energy_15m"]["demand_wh"]
    span_s, at_s = 14 * village.DAY_S, stores.end_s + village.DAY_S
    (found,) = promql(stores.victoria, f"sum(sum_over_time(energy_15m_demand_wh[{span_s}s]))", at_s)
    assert int(float(found["value"][1])) == before["energy_15m"]["demand_wh"]


def test_request_when_asked_and_answered(stores):
    """What the operator asked for stands at its beginning; what came stands beside it when it was measured."""
    (series,) = influxql(stores.influx, "SELECT * FROM request WHERE kind = 'peak'")
    (values,) = series["values"]
    found = dict(zip(series["columns"], values, strict=True))
    assert found["end_s"] - found["start_s"] == 7200
    assert (found["sites_asked"], found["sites"]) == (40, 40)
    assert found["expected_wh"] > found["used_wh"] > 0
    assert found["reward_mc"] > 0
    assert found["shifted_wh"] > found["expected_wh"] - found["used_wh"]
    (surplus,) = influxql(stores.influx, "SELECT sites_asked, used_wh FROM request WHERE kind = 'surplus'")
    assert surplus["values"][0][1:] == [20, None]
