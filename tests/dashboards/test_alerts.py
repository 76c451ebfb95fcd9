"""Alerts: every rule has a page, says what it should, and fires when it should, asked of the real servers."""

import re
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml

from aggregator.observe.metrics import exposition as of_aggregator
from dashboards.alerts import ALERTS, Alert
from dashboards.build import BUILT
from dashboards.provisioning import CONTACT, SOURCE
from gateway.observe.metrics import exposition as of_gateway
from tests.aggregator.test_observe import BOOKS, REPORT, WITNESSES
from tests.aggregator.test_observe import WELL as AGGREGATOR_WELL
from tests.dashboards import fixed
from tests.dashboards.boards import DASHBOARDS, WORDS
from tests.dashboards.lint import words
from tests.dashboards.servers import Influx, program_of, victoria_metrics
from tests.gateway.states import WELL as GATEWAY_WELL

pytestmark = pytest.mark.xdist_group("dashboards")

PAGES = BUILT.parents[1] / "docs" / "operating" / "alerts"
RULES = BUILT / "prometheus" / "commonwatt.rules.yml"
CASES = Path(__file__).parent / "rules_test.yml"
PROVISIONED = {file.stem: yaml.safe_load(file.read_text()) for file in (BUILT / "provisioning").rglob("*.yaml")}
(GROUP,) = yaml.safe_load((BUILT / "provisioning/alerting/rules.yaml").read_text())["groups"]


def by_name(alert: Alert) -> str:
    return alert.name


@pytest.mark.parametrize("alert", ALERTS, ids=by_name)
def test_page_when_an_alert_comes(alert):
    """What it means, how to look, what to do, on a page, listed with its severity."""
    page = (PAGES / f"{alert.page}.md").read_text()
    assert re.findall(r"^\*\*(What it means|How to look|What to do)\.\*\*", page, re.M) == [
        *("What it means", "How to look", "What to do"),
    ]
    assert len(page.split()) < 400
    listed = {
        row[1]: row[2]
        for row in re.finditer(r"^\| \[(.+?)\]\(.+?\) \| (\w+) \|", (PAGES / "README.md").read_text(), re.M)
    }
    severities = [one.severity.value for one in ALERTS if one.page == alert.page]
    assert listed[alert.page] in severities
    assert set(listed) == {file.stem for file in PAGES.glob("*.md")} - {"README"} == {one.page for one in ALERTS}


@pytest.mark.parametrize("page", sorted(PAGES.glob("[a-z]*.md")), ids=lambda page: page.stem)
def test_page_when_it_says_where_to_look(page):
    """Every dashboard, row and panel that it names in italics is there."""
    there = {"Operator", "Fleet", "Minting and ledger"}
    there |= {panel["title"] for board in DASHBOARDS.values() for panel in board["panels"]}
    look = page.read_text().partition("**How to look.**")[2].partition("**What to do.**")[0]
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", look.replace("\n", " ")))
    assert named <= there, named - there


@pytest.mark.parametrize("alert", ALERTS, ids=by_name)
def test_rule_when_grafana_reads_it(alert):
    """Query, newest value and limit; the panel to look at exists; words of the sentence are labels of the query."""
    (rule,) = (rule for rule in GROUP["rules"] if rule["title"] == alert.name)
    ask, newest, passed = rule["data"]
    assert (ask["datasourceUid"], newest["datasourceUid"], passed["datasourceUid"]) == (
        SOURCE,
        "__expr__",
        "__expr__",
    )
    assert (newest["model"]["expression"], passed["model"]["expression"], rule["condition"]) == (
        "A",
        "B",
        passed["refId"],
    )
    assert list(words(ask["model"]["query"], WORDS)) == []
    (board,) = (board for board in DASHBOARDS.values() if board["uid"] == rule["dashboardUid"])
    assert (rule["panelId"], alert.panel) in [(panel["id"], panel["title"]) for panel in board["panels"]]
    grouped = set(re.findall(r'"(\w+)"', ask["model"]["query"].partition("GROUP BY")[2]))
    assert set(re.findall(r"\.Labels\.(\w+)", rule["annotations"]["summary"])) <= grouped
    assert rule["annotations"]["runbook_url"].endswith(f"/alerts/{alert.page}.md")
    assert (rule["labels"]["severity"], rule["for"]) == (alert.severity.value, alert.holds_for)


def test_files_when_grafana_fills_in_its_environment():
    """A dollar sign stands before the names that the files tell of, and nowhere else."""
    named = {
        "commonwatt": {"INFLUX_URL", "INFLUX_DATABASE", "INFLUX_TOKEN", "DASHBOARDS"},
        "contact-points": {"ALERT_EMAIL"},
    }
    for file in (BUILT / "provisioning").rglob("*.yaml"):
        found = set(re.findall(r"\$(\w*)", file.read_text()))
        assert found <= named.get(file.stem, set()), file
    assert "$" not in RULES.read_text()


def test_files_when_parsed():
    """One data source and its uid, folders of what is built, a contact point that the rules name."""
    assert set(PROVISIONED) == {"commonwatt", "rules", "contact-points"}
    sources = yaml.safe_load((BUILT / "provisioning/datasources/commonwatt.yaml").read_text())["datasources"]
    assert [(one["uid"], one["type"]) for one in sources] == [(SOURCE, "influxdb")]
    providers = yaml.safe_load((BUILT / "provisioning/dashboards/commonwatt.yaml").read_text())["providers"]
    for provider in providers:
        assert (BUILT / "dashboards" / provider["options"]["path"].partition("/")[2]).is_dir()
    assert GROUP["folder"] in [provider["folder"] for provider in providers]
    (point,) = PROVISIONED["contact-points"]["contactPoints"]
    assert {rule["notification_settings"]["receiver"] for rule in GROUP["rules"]} == {point["name"]} == {CONTACT}
    assert len({rule["uid"] for rule in GROUP["rules"]}) == len(ALERTS) == len(GROUP["rules"])
    assert all(len(rule["uid"]) <= 40 for rule in GROUP["rules"])


NAMES_OF_ILL = {
    "ReverseFlowOverRating": ("energy_15m", {"level": "transformer", "place": "T1"}, {"reverse_permille": 1001}),
    "GatewaySilent": ("gateway", {"gateway": "mill"}, {"heard_age_s": 901}),
    "ClockUntrusted": ("gateway", {"gateway": "mill"}, {"clock_trusted": 0}),
    "ClockDrift": ("gateway", {"gateway": "mill"}, {"clock_skew_ms": -5001}),
    "SpoolOld": ("gateway", {"gateway": "mill"}, {"spool_age_s": 21_601}),
    "BlocksRefused": ("pipeline", {}, {"blocks_received": 10_000, "blocks_refused": 200}),
    "CheckpointStale": ("ledger", {}, {"log_size": 1003, "checkpoint_size": 1001}),
    "CheckpointOld": ("ledger", {}, {"checkpoint_age_s": 93_601}),
    "WitnessRefuses": ("witness", {"witness": "auditor"}, {"behind_entries": 1}),
    "MoneyUncovered": ("money", {"unit": "euro"}, {"coverage_permille": 1049, "coverage_permille_min": 1050}),
    "MoneyIdle": ("money", {"unit": "energy"}, {"velocity_permille": 49, "velocity_permille_min": 50}),
    "GatewayDisk": ("gateway", {"gateway": "mill"}, {"disk_free_bytes": 499_000_000}),
    "AggregatorDisk": ("pipeline", {}, {"disk_free_bytes": 499_000_000}),
    "MintingStalled": ("ledger", {}, {"outbox_runs": 1}),
    "TelemetryBehind": ("telemetry", {}, {"behind_s": 10_801}),
}
"""What is written when something is wrong, by alert; of AggregatorDown, nothing."""


def healthy(now_s: int) -> list[str]:
    """A quarter of an hour and two samples of a commune that is well."""
    of_place = {"level": "transformer", "place": "T1"}
    settled = fixed.line("energy_15m", of_place, {"reverse_permille": 1000}, now_s - 4 * 3600)
    return [settled, *fixed.sample(0, now_s - 120), *fixed.sample(1, now_s - 60)]


def firing(influx: Influx, database: str, alert: Alert) -> list[dict[str, str]]:
    """The labels of every series that passes the limit, as Grafana would find it."""
    series = influx.ask(database, alert.influxql)
    return [one["tags"] for one in series if alert.limit.is_passed(one["values"][-1][1])]


@pytest.fixture(scope="module")
def now_s() -> int:
    """The alerts ask for the last minutes, and InfluxDB has the machine's own clock."""
    return int(time.time())


def test_alerts_when_all_is_well(influx, now_s):
    """Each finds what it asks for, and none fires."""
    influx.write("well", healthy(now_s))
    assert {alert.name: influx.ask("well", alert.influxql) != [] for alert in ALERTS} == {
        a.name: True for a in ALERTS
    }
    assert {alert.name: firing(influx, "well", alert) for alert in ALERTS} == {alert.name: [] for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=by_name)
def test_alert_when_one_thing_is_wrong(alert, influx, now_s):
    """It fires and tells which; no other does. One that means silence has no answer to its question."""
    database = f"ill-{alert.name}"
    if alert.name not in NAMES_OF_ILL:
        assert alert.is_silence_bad
        influx.write(database, [fixed.line("event", {"kind": "policy"}, {"count": 1}, now_s)])
        assert influx.ask(database, alert.influxql) == []
        return
    measurement, tags, fields = NAMES_OF_ILL[alert.name]
    well = [line for line in healthy(now_s) if alert.name != "MintingStalled" or not line.startswith("ledger")]
    influx.write(database, [*well, fixed.line(measurement, tags, fields, now_s - 1)])
    assert firing(influx, database, alert) == [{"commune": fixed.COMMUNE, **tags}]
    others = [other.name for other in ALERTS if other is not alert and firing(influx, database, other)]
    assert others == []


def test_promtool_when_it_checks_the_rules():
    """Well formed, and every case of rules_test.yml comes out."""
    promtool = program_of("promtool", "prometheus")
    for words_of in (["check", "rules", str(RULES)], ["test", "rules", str(CASES)]):
        done = subprocess.run([promtool, *words_of], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=by_name)
def test_cases_when_a_rule_is_written(alert):
    """Some case of rules_test.yml expects it to fire, and some expects that it does not."""
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    told = [bool(case["exp_alerts"]) for case in cases if case["alertname"] == f"Commonwatt{alert.name}"]
    assert set(told) == {True, False}


_SELECTOR = re.compile(r"\b(?:commonwatt|energy_15m|gateway|money)_\w+(?:{[^}]*})?|\bup{[^}]*}")


def test_promql_when_run_on_a_real_victoriametrics(tmp_path, now_s):
    """Filled with what gateway and aggregator tell at /metrics and with the telemetry: every series that a rule names
    is there, every rule is understood, and one alone fires: a witness refuses."""
    # What counts less than a hundred when it is first seen, a VictoriaMetrics takes for new.
    few_refused = REPORT | {"blocks": REPORT["blocks"] | {"received": 90_000, "refused": {"bad-signature": 800}}}
    witnesses = replace(WITNESSES, refused={("auditor", "ahead"): 1})
    books = replace(BOOKS, report=few_refused, witnesses=witnesses)
    told = {
        "commonwatt-gateway": of_gateway(GATEWAY_WELL, age_s=1).decode(),
        "commonwatt-aggregator": of_aggregator(replace(AGGREGATOR_WELL, books=books), age_s=1).decode(),
    }
    with victoria_metrics(tmp_path / "vm") as url:
        post = partial(_post, url)
        for job, text in told.items():
            # Half a minute must pass before a VictoriaMetrics tells of a point.
            where = f"extra_label=job={job}&extra_label=instance=well&timestamp={now_s - 60}000"
            post(f"/api/v1/import/prometheus?{where}", f"{text}\nup 1\n")
        post("/write?precision=s&db=x", "\n".join(healthy(now_s)))
        urllib.request.urlopen(f"{url}/internal/force_flush").close()
        rules = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
        assert [name for name, expr in rules.items() if _ask(url, expr, now_s)] == ["CommonwattWitnessRefuses"]
        for expr in rules.values():
            selectors = _SELECTOR.findall(expr)
            assert selectors
            assert [one for one in selectors if not _ask(url, f"last_over_time({one}[1d])", now_s)] == []


def _post(url: str, path: str, text: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url + path, data=text.encode())).close()


def _ask(url: str, expr: str, now_s: int) -> list[object]:
    query = urllib.parse.urlencode({"query": expr, "time": now_s})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}") as answer:
        result: list[object] = yaml.safe_load(answer.read())["data"]["result"]
    return result
