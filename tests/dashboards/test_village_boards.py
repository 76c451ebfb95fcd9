"""Every dashboard and alert, asked of real databases that the real pipeline filled with a week of forty homes."""

import re
from collections.abc import Callable
from functools import partial

import pytest
import yaml

from aggregator.commune.attributes import OWN_DASHBOARD
from aggregator.private.store import PrivateStore
from aggregator.testing import commonwatt
from dashboards.alerts import ALERTS
from tests.dashboards.boards import DASHBOARDS, TAGS
from tests.dashboards.conftest import Filled
from tests.dashboards.reading import Json, Shown
from tests.dashboards.running import complete_series, figures, run
from tests.dashboards.servers import Influx
from tests.dashboards.stores import influxql, promql
from tests.dashboards.test_alerts import RULES

EMPTY: dict[str, set[str]] = {
    # Nothing was refused and nothing set aside.
    "fleet": {"Refused, by reason", "Refused in the time shown", "Set aside, by reason"},
    # The village has no witnesses.
    "minting": {"Witnesses", "Witnesses behind", "Since each witness signed"},
    # It lived for five days.
    "operator": {"A week before", "Import", "Export"},
    "commune-en": {"Sun", "Shared", "Used", "CO2"},
    "commune-fr": {"Soleil", "Partagée", "Consommée", "CO2"},
}
"""Panels of which a query finds nothing, by dashboard."""

OF_HOME = {
    "home-en": {"Use", "Drawn from the grid", "Earned"},
    "home-fr": {"Consommation", "Soutirée du réseau", "Gagnés"},
}
"""The same of my home, which asks a database of its own."""
HOME = "swiss2"


@pytest.fixture
def shown(stores: Filled) -> Shown:
    """All of the village's life."""
    return Shown(stores.start_s, stores.end_s)


@pytest.fixture
def ask(stores: Filled) -> Callable[[str], list[Json]]:
    """InfluxQL to the InfluxDB."""
    return partial(influxql, stores.influx)


def titles(failures: list[str]) -> set[str]:
    """Of which panels a query found nothing; any other failure stands there whole."""
    return {re.sub(r"(?: [A-Z])?: no data.*", "", failure) for failure in failures}


@pytest.mark.parametrize("name", EMPTY)
def test_queries_when_the_pipeline_filled_the_database(name, ask, shown):
    """Every query of every panel answers plausibly, whatever is chosen; what finds nothing is known, and why."""
    failures = run(DASHBOARDS[name], ask, shown)
    assert titles(failures) == EMPTY[name]


@pytest.fixture(scope="module")
def home(stores: Filled, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Json]]:
    """InfluxQL to a database with the points of one home, whose member agreed."""
    place, influx = stores.village.directory, Influx(stores.influx.url)
    people = PrivateStore(place / "private.db")
    people.amend(people.find("members", HOME), {"consent": {OWN_DASHBOARD: "2024-12-31"}}, at_s=stores.start_s)
    people.save()
    influx.write(HOME, [])
    path = tmp_path_factory.mktemp("home") / "home.toml"
    path.write_text(f'url = "{stores.influx.write_url}"\norg = "x"\nbucket = "{HOME}"\ntoken = "hers"\n')
    span = ("--from", "2024-07-23", "--to", "2024-07-26")
    code, _out, errors = commonwatt("aggregator", "telemetry", "home", place, HOME, "--influx", path, *span)
    assert code == 0, errors
    return partial(influx.ask, HOME)


@pytest.mark.parametrize("name", OF_HOME)
def test_queries_when_a_home_has_a_database_of_its_own(name, home, shown):
    """Every query of every panel answers plausibly; the home had no week before."""
    failures = run(DASHBOARDS[name], home, shown)
    assert titles(failures) == OF_HOME[name]
    assert figures(DASHBOARDS[name], home, shown)


def test_figures_when_the_village_has_lived(ask, shown):
    """What the dashboards show adds up: energy and credits, levels and the commune, what is covered."""
    commune, minting = (figures(DASHBOARDS[name], ask, shown) for name in ("commune-en", "minting"))
    assert commune["Homes that take part"] == {"A": 40}
    assert 0 < commune["Shared between neighbours"]["A"] < commune["Made of the sun"]["A"]
    assert minting["Credits minted"] == minting["In circulation"]
    assert sum(minting["Energy by origin"].values()) == minting["Energy behind them"]["A"]
    assert minting["Covered"]["A"] >= 1
    assert minting["Not yet published"] == {"A": 0}


def test_series_when_the_pipeline_wrote_them(ask):
    """Each has the tags of its measurement and no other."""
    assert complete_series(ask, TAGS) == []


def test_alerts_when_asked_of_the_village(ask):
    """Each finds what it asks for. Nobody has spent a credit, and after the week no gateway speaks any more."""
    (((end_s, _log),),) = (series["values"] for series in ask('SELECT last("log_size") FROM "ledger"'))
    told = {alert.name: ask(alert.influxql.replace("now()", f"{end_s + 60}s")) for alert in ALERTS}
    assert [name for name, series in told.items() if not series] == ["WitnessRefuses"]
    firing = {a.name for a in ALERTS if any(a.limit.is_passed(one["values"][-1][1]) for one in told[a.name])}
    assert firing - {"AggregatorDisk"} == {"GatewaySilent", "MoneyIdle"}  # the disk is this machine's


def test_promql_when_asked_of_the_village(stores, ask):
    """The rules that rest on the telemetry find their series in the VictoriaMetrics, and say the same."""
    (((end_s, _log),),) = (series["values"] for series in ask('SELECT last("log_size") FROM "ledger"'))
    rules = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
    resting = {name: expr for name, expr in rules.items() if re.search(r"\b(energy_15m|gateway|money)_\w+", expr)}
    assert len(resting) == 4
    firing = [name for name, expr in resting.items() if promql(stores.victoria, expr, end_s + 60)]
    assert firing == ["CommonwattMoneyIdle"]
    for selector in (
        one for expr in resting.values() for one in re.findall(r"\b(?:energy_15m|gateway|money)_\w+", expr)
    ):
        assert promql(stores.victoria, f"last_over_time({selector}[1d])", end_s + 60), selector
