"""A push to a real HTTP server that holds every request to Grafana's documentation."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commonwatt.errors import UserError
from commonwatt.grafana import bundle, wanted
from commonwatt.grafana.api import Grafana
from commonwatt.grafana.bundle import Audience, Bundle
from commonwatt.grafana.cli import app
from commonwatt.grafana.push import Done, Order, Outcome, push
from commonwatt.grafana.source import InfluxSource
from tests.grafana.server import EDITOR, TOKEN, Server

COMMONWATT = str(Path(sys.executable).with_name("commonwatt"))
INFLUX = InfluxSource(url="http://influxdb:8086", token="reader:secret")
EVERYBODY = [Audience.OPERATORS, Audience.PUBLIC]


@pytest.fixture(autouse=True)
def email(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_EMAIL", "operator@example.org")


def order(built: Path, **changes: Any) -> Order:
    return Order(**{"bundle": bundle.read(built, EVERYBODY), "influx": INFLUX, **changes})


def bring(grafana: Server, what: Order, *, token: str = TOKEN) -> list[Done]:
    return list(push(Grafana(grafana.url, token), what))


def outcomes(done: list[Done]) -> dict[str, Outcome]:
    return {f"{one.kind} {one.name}": one.outcome for one in done}


def test_push_when_grafana_is_new(grafana: Server, built: Path) -> None:
    """Folders, data source, dashboards, contact point and rules are there, as they were meant."""
    done = bring(grafana, order(built))
    assert {one.outcome for one in done} == {Outcome.MADE}
    room = grafana.room
    assert set(room.folders) == {"commonwatt", "commonwatt-public"}
    assert room.sources["commonwatt"]["secureJsonData"] == {"httpHeaderValue1": "Token reader:secret"}
    assert room.sources["commonwatt"]["jsonData"]["dbName"] == "commonwatt"
    assert {uid: kept["folderUid"] for uid, kept in room.dashboards.items()} == {
        "cw-operator": "commonwatt",
        "cw-commune": "commonwatt-public",
    }
    (variable,) = room.dashboards["cw-operator"]["dashboard"]["templating"]["list"]
    assert variable["current"]["value"] == "commonwatt"
    (rule,) = room.groups["commonwatt", "grid"]["rules"]
    assert rule["annotations"]["__dashboardUid__"] == "cw-operator"
    assert rule["provenance"] == "api"
    (point,) = room.contact_points
    assert point["settings"] == {"addresses": "operator@example.org"}
    assert point["provenance"] == "", "operators may change whom it wakes"


def test_push_when_repeated(grafana: Server, built: Path) -> None:
    """The second push changes nothing; only the token, which cannot be read back, is written again."""
    bring(grafana, order(built))
    before = json.dumps([grafana.room.dashboards, list(grafana.room.groups.values())], sort_keys=True)
    grafana.log.clear()
    done = bring(grafana, order(built))
    assert {one.outcome for one in done} == {Outcome.UNCHANGED}
    assert grafana.changes() == [("PUT", "/api/datasources/uid/commonwatt")]
    assert json.dumps([grafana.room.dashboards, list(grafana.room.groups.values())], sort_keys=True) == before


def test_push_when_something_differs(grafana: Server, built: Path) -> None:
    """What somebody changed or what is new in our files is put right, and nothing else is touched."""
    bring(grafana, order(built, influx=INFLUX))
    grafana.room.dashboards["cw-operator"]["dashboard"]["panels"].append({"id": 9, "type": "text"})
    grafana.room.groups["commonwatt", "grid"]["rules"][0]["for"] = "1h"
    grafana.room.sources["commonwatt"]["url"] = "http://elsewhere:8086"
    done = outcomes(bring(grafana, order(built)))
    changed = {name for name, outcome in done.items() if outcome is Outcome.CHANGED}
    assert changed == {"data source Commonwatt", "dashboard Operator", "alert rules grid"}
    assert grafana.room.dashboards["cw-operator"]["dashboard"]["panels"] == []
    assert grafana.room.groups["commonwatt", "grid"]["rules"][0]["for"] == "5m"


def test_push_when_it_only_looks(grafana: Server, built: Path) -> None:
    """A dry run tells what would be made, and sends nothing."""
    done = bring(grafana, order(built, is_dry=True))
    assert {one.outcome for one in done} == {Outcome.MADE}
    assert grafana.changes() == []
    bring(grafana, order(built))
    grafana.log.clear()
    assert {one.outcome for one in bring(grafana, order(built, is_dry=True))} == {Outcome.UNCHANGED}
    assert grafana.changes() == []


def test_push_when_the_data_source_is_the_operator_s(grafana: Server, built: Path) -> None:
    """Dashboards and rules follow the uid; an Editor's token is enough."""
    grafana.room.sources["ours"] = {
        "uid": "ours",
        "name": "Influx",
        "type": "influxdb",
        "url": "http://x:1",
        "access": "proxy",
    }
    bring(grafana, order(built, influx=None, source="ours"), token=EDITOR)
    (rule,) = grafana.room.groups["commonwatt", "grid"]["rules"]
    assert [query["datasourceUid"] for query in rule["data"]] == ["ours", "__expr__"]
    assert rule["data"][0]["model"]["datasource"]["uid"] == "ours"
    (variable,) = grafana.room.dashboards["cw-operator"]["dashboard"]["templating"]["list"]
    assert variable["current"]["value"] == "ours"


def test_push_when_people_made_it_theirs(grafana: Server, built: Path) -> None:
    """A folder's new title, a contact point and what comes from files are left as they are."""
    bring(grafana, order(built))
    grafana.room.folders["commonwatt"]["title"] = "Réseau"
    grafana.room.contact_points[0]["settings"] = {"addresses": "night@example.org"}
    grafana.room.provisioned.add("cw-operator")
    grafana.room.dashboards["cw-operator"]["dashboard"]["title"] = "Ours"
    done = outcomes(bring(grafana, order(built)))
    assert done["folder Réseau"] is Outcome.UNCHANGED
    assert done["dashboard Operator"] is Outcome.LEFT
    assert grafana.room.contact_points[0]["settings"] == {"addresses": "night@example.org"}
    assert grafana.room.dashboards["cw-operator"]["dashboard"]["title"] == "Ours"


def test_push_when_nobody_says_whom_to_wake(grafana: Server, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the address the contact point is left out, and its rules go where the policy sends them."""
    monkeypatch.delenv("ALERT_EMAIL")
    done = bring(grafana, order(built))
    (left,) = [one for one in done if one.outcome is Outcome.LEFT]
    assert "ALERT_EMAIL" in left.note
    (rule,) = grafana.room.groups["commonwatt", "grid"]["rules"]
    assert "notification_settings" not in rule


def test_push_when_influx_is_not_reached(grafana: Server, built: Path) -> None:
    """Everything is brought all the same; the note says that Grafana does not reach its database."""
    grafana.room.is_influx_down = True
    done = bring(grafana, order(built))
    assert "connection refused" in done[0].note
    assert "cw-operator" in grafana.room.dashboards


def test_push_when_a_demo_lived_in_the_past(grafana: Server, built: Path) -> None:
    """Dashboards open at the days of the demo and do not run away from them."""
    span = ("2024-07-08T00:00:00.000Z", "2024-07-09T00:00:00.000Z")
    bring(grafana, order(built, span=span))
    board = grafana.room.dashboards["cw-operator"]["dashboard"]
    assert (board["time"], board["refresh"]) == ({"from": span[0], "to": span[1]}, "")


def refused(grafana: Server, what: Order, *, token: str = TOKEN, url: str = "") -> str:
    with pytest.raises(UserError) as caught:
        list(push(Grafana(url or grafana.url, token), what))
    return str(caught.value)


def test_token_when_grafana_does_not_know_it(grafana: Server, built: Path) -> None:
    """Said with where to get one; nothing was changed."""
    words = refused(grafana, order(built), token="glsa_wrong")
    assert "Invalid API key" in words
    assert "Service accounts" in words
    assert grafana.changes() == []


def test_token_when_it_may_not(grafana: Server, built: Path) -> None:
    """Said with what is missing and which role has it."""
    words = refused(grafana, order(built), token=EDITOR)
    assert "datasources:create" in words
    assert "Admin" in words


@pytest.mark.parametrize("token", ["", "  ", "glsa_ä", "glsa_a\nX-Evil: 1"])
def test_token_when_it_is_none(grafana: Server, built: Path, token: str) -> None:
    """Nothing is sent that could not be a token."""
    assert "token" in refused(grafana, order(built), token=token)
    assert grafana.log == []


@pytest.mark.parametrize(
    ("version", "is_taken"), [("9.5.21", False), ("10.0.0", True), ("13.3.0-pre", True), (None, True)]
)
def test_version_when_looked_at(grafana: Server, built: Path, version: str | None, is_taken: bool) -> None:
    """A Grafana too old is refused by name; one that hides its version is believed."""
    grafana.room.version = version
    if is_taken:
        bring(grafana, order(built))
    else:
        assert "9.5.21" in refused(grafana, order(built))
        assert grafana.changes() == []


def test_url_when_nobody_answers(grafana: Server, built: Path) -> None:
    """Said with the reason and a way to look."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        words = refused(grafana, order(built), url=f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert "not reached" in words
    assert "/api/health" in words


@pytest.mark.parametrize("reply", [(404, "<html>"), (200, "<html>hello"), (200, {"status": "pass"})])
def test_url_when_it_is_no_grafana(grafana: Server, built: Path, reply: tuple[int, Any]) -> None:
    """A web page or an InfluxDB is not taken for a Grafana, and is not handed the token."""
    grafana.override["GET", "/api/health"] = reply
    assert "no Grafana" in refused(grafana, order(built))
    assert grafana.log == [("GET", "/api/health")]


@pytest.mark.parametrize("url", ["grafana.example.org", "ftp://x", "http://"])
def test_url_when_it_is_none(grafana: Server, built: Path, url: str) -> None:
    """Said before anybody is asked."""
    assert "address" in refused(grafana, order(built), url=url)


def test_url_when_it_sends_us_on(grafana: Server, built: Path) -> None:
    """The token does not follow a redirect; the new address is named."""
    with Server() as other:
        grafana.location = f"{other.url}/api/health"
        assert other.url in refused(grafana, order(built))
        assert other.log == []


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (500, {"message": "database is locked"}, "database is locked"),
        (412, {"message": "plugin", "status": "plugin-dashboard"}, "412"),
        (502, "<html>bad gateway", "502"),
    ],
)
def test_push_when_grafana_fails_halfway(grafana: Server, built: Path, status: int, body: Any, says: str) -> None:
    """The dashboard and Grafana's words are named; once it works, pushing again completes it."""
    grafana.override["POST", "/api/dashboards/db"] = (status, body)
    words = refused(grafana, order(built))
    assert says in words
    assert "Operator" in words
    grafana.override.clear()
    done = outcomes(bring(grafana, order(built)))
    assert done["data source Commonwatt"] is Outcome.UNCHANGED
    assert done["dashboard Operator"] is Outcome.MADE


def test_data_source_when_there_is_none(grafana: Server, built: Path) -> None:
    """Without --influx it must be there, and be an InfluxDB."""
    assert "--influx" in refused(grafana, order(built, influx=None))
    grafana.room.sources["commonwatt"] = {"uid": "commonwatt", "name": "x", "type": "prometheus"}
    assert "--influx" in refused(grafana, order(built, influx=None))


def test_push_when_everything_that_comes_along_is_brought(grafana: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """This version's dashboards and rules are what Grafana's documentation allows, and hold after a push."""
    for name in ("ALERT_EMAIL", "ALERT_WEBHOOK"):
        monkeypatch.setenv(name, "https://example.org/hook")
    for audiences in (EVERYBODY, [Audience.HOME]):
        what = Order(bundle.read(bundle.built(), audiences), influx=INFLUX)
        bring(grafana, what)
        assert {one.outcome for one in bring(grafana, what)} == {Outcome.UNCHANGED}
    assert {"cw-operator", "cw-fleet"} <= set(grafana.room.dashboards)
    rules = [rule["uid"] for group in grafana.room.groups.values() for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in bundle.read(bundle.built(), EVERYBODY).groups)
    assert len(rules) == len(set(rules))


@pytest.mark.parametrize(
    ("present", "said", "holds"),
    [
        ({"for": "5m0s", "id": 7}, {"for": "5m"}, True),
        ({"for": "5m"}, {"for": "6m"}, False),
        ({"rules": [{"a": 1, "b": 2}]}, {"rules": [{"a": 1}]}, True),
        ({"rules": [{"a": 1}, {"a": 2}]}, {"rules": [{"a": 1}]}, False),
        ({}, {"a": None}, True),
        ({"a": 0}, {"a": False}, True),
        ([], {"a": 1}, False),
        ("x", {"a": 1}, False),
    ],
)
def test_holds_when_grafana_adds_defaults(present: Any, said: Any, holds: bool) -> None:
    """More is the same, other is not."""
    assert wanted.holds(present, said) is holds


def test_expand_when_names_are_missing() -> None:
    """As Grafana expands its files; what has no value is named."""
    value, missing = bundle.expand({"to": ["$WHO", "${WHO}@x"], "n": 1, "c": "$COST"}, {"WHO": "a"})
    assert value == {"to": ["a", "a@x"], "n": 1, "c": ""}
    assert missing == {"COST"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("dashboards/operators/cw-operator.json", "{"),
        ("dashboards/operators/cw-operator.json", '{"title": "no uid"}'),
        ("provisioning/alerting/grid.yaml", "a: ["),
    ],
)
def test_bundle_when_a_file_is_bad(built: Path, file: str, content: str) -> None:
    """The file is named."""
    (built / file).write_text(content)
    with pytest.raises(UserError, match=Path(file).name):
        bundle.read(built, EVERYBODY)


def test_bundle_when_there_is_nothing(tmp_path: Path) -> None:
    """Said, with how dashboards are built."""
    with pytest.raises(UserError, match="make dashboards"):
        bundle.read(tmp_path, EVERYBODY)
    assert Bundle({}).groups == ()


def run(*words: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    argv = [COMMONWATT, "dashboards", *map(str, words)]
    told = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "COLUMNS": "200", **environment}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=told)


def test_command_when_typed(grafana: Server, built: Path, tmp_path: Path) -> None:
    """The real command, token from a file, InfluxDB by URL, at the days of a demo."""
    token, demo = tmp_path / "token", tmp_path / "demo"
    token.write_text(f"{TOKEN}\n")
    demo.mkdir()
    (demo / "demo.json").write_text('{"starts_s": 1720396800, "ends_s": 1720483200}')
    words = ("push", "--url", f"{grafana.url}/", "--token-file", token, "--influx", "http://localhost:8086")
    done = run(*words, "--demo", demo, "--from", built)
    assert done.returncode == 0, done.stderr
    assert f"Open {grafana.url}/dashboards/f/commonwatt" in done.stdout
    assert "secret" not in done.stdout + done.stderr
    board = grafana.room.dashboards["cw-operator"]["dashboard"]
    assert board["time"] == {"from": "2024-07-08T00:00:00.000Z", "to": "2024-07-09T00:00:00.000Z"}
    assert "secureJsonData" not in grafana.room.sources["commonwatt"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--token-file"),
        (("--token", "x", "--token-file", "y"), "one of them"),
        (("--token-file", "nowhere"), "nowhere"),
        (("--token", "x", "--influx", "nowhere.toml"), "nowhere.toml"),
        (("--token", "x", "--influx", "http://a", "--data-source", "b"), "one of them"),
        (("--token", "x", "--demo", "nowhere"), "demo"),
    ],
)
def test_command_when_mistyped(built: Path, words: tuple[str, ...], says: str) -> None:
    """A sentence with what to do, before anybody is asked."""
    done = CliRunner().invoke(app, ["push", "--url", "http://127.0.0.1:9", "--from", str(built), *words])
    assert isinstance(done.exception, UserError)
    assert says in str(done.exception)
