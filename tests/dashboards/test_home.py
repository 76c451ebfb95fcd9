"""One home's points: exact, in its own bucket alone, and only if its member agreed."""

import re

import pytest

from aggregator.commune.attributes import OWN_DASHBOARD
from aggregator.private.store import PrivateStore
from aggregator.testing import commonwatt
from tests.dashboards import village
from tests.dashboards.http_server import Reply, running

HOME, ANOTHER = "swiss2", "swiss3"
FIELD = re.compile(r"(\w+)=(-?\d+)i")


@pytest.fixture
def influx_toml(tmp_path):
    """The file of a home's own bucket, and the server that it names."""
    with running() as database:
        path = tmp_path / "home.toml"
        path.write_text(f'url = "{database.url}"\norg = "{HOME}"\nbucket = "{HOME}"\ntoken = "hers"\n')
        yield path, database


@pytest.fixture
def agreed(lived_village):
    """The village in which this home's member agreed on Monday."""
    store = PrivateStore(lived_village.directory / "private.db")
    member = store.find("members", HOME)
    store.amend(member, {"consent": {OWN_DASHBOARD: "2024-12-31"}}, at_s=village.START_S)
    store.save()
    return lived_village


def asked(directory, path, home=HOME):
    span = ("--from", "2024-07-23", "--to", "2024-07-26")
    return commonwatt("aggregator", "telemetry", "home", directory, home, "--influx", path, *span)


def test_home_when_its_member_did_not_agree(lived_village, influx_toml):
    """Consent to everything else is none to this: the answer says what to do, and nothing leaves."""
    path, database = influx_toml
    code, _out, errors = asked(lived_village.directory, path, ANOTHER)
    assert code == 2
    assert OWN_DASHBOARD in errors
    assert database.requests == []


def test_home_when_its_member_agreed(agreed, influx_toml):
    """Four whole days, each the sum of its intervals and of what the meter measured; nobody else's."""
    path, database = influx_toml
    code, out, errors = asked(agreed.directory, path)
    assert (code, errors) == (0, "")
    assert f"of {HOME}" in out
    fine = [line for line in database.kept if line.startswith("home_15m,commune=demo ")]
    days = [line for line in database.kept if line.startswith("home_1d,commune=demo ")]
    assert (len(fine), len(days), len(database.kept)) == (4 * 96, 4, 4 * 97)
    for name in ("import_wh", "export_wh", "solar_wh", "used_wh", "matched_wh"):
        assert sum(dict(found(line))[name] for line in fine) == sum(dict(found(line))[name] for line in days)
    rows = dict(agreed.registers[HOME].rows)
    first_s, last_s = village.START_S + 22 * 3600, village.START_S + 22 * 3600 + 4 * village.DAY_S
    assert sum(dict(found(line))["import_wh"] for line in days) == rows[last_s][0] - rows[first_s][0]
    assert all(dict(found(line))["earned_mc"] > 0 for line in days)
    assert all("bucket=swiss2" in request.path for request in database.requests)


def test_home_when_its_database_refuses(agreed, influx_toml):
    """A sentence with the server's words, exit code 2."""
    path, database = influx_toml
    database.decide = lambda _request: Reply(401, '{"message": "unauthorized access"}')
    code, _out, errors = asked(agreed.directory, path)
    assert code == 2
    assert "401 unauthorized access" in errors


def found(line: str) -> list[tuple[str, int]]:
    return [(name, int(value)) for name, value in FIELD.findall(line)]
