"""Databases for all tests of dashboards, started once: one with data that never changes, two with a real week."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aggregator.telemetry.journal import FILE
from tests.dashboards import fixed, village
from tests.dashboards.servers import Influx, influxd
from tests.dashboards.stores import Store, influx_store, victoria_store
from tests.dashboards.village import Village


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """A real InfluxDB 1.6, empty; every test takes a database of its own."""
    folder: Path = tmp_path_factory.mktemp("influxd")
    with influxd(folder) as server:
        yield server


@pytest.fixture(scope="session")
def known(influx: Influx) -> Influx:
    """The same, with the fixed data set in its database."""
    influx.write(fixed.DATABASE, fixed.lines())
    return influx


TELEMETRY = "telemetry"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks the filled databases runs in one process, so that they are filled once."""
    for item in items:
        if {"stores", "lived_village"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(TELEMETRY))


@dataclass(frozen=True)
class Filled:
    """Two databases with the same points: five days of forty homes, Monday 2024-07-22 to Friday 2024-07-26.

    `influx` answers InfluxQL (`stores.influxql`), `victoria` PromQL (`stores.promql`). `start_s`, `end_s`: between
    them every measurement of docs/spec/telemetry.md but `witness` has points; whole local days (Europe/Paris) are
    Tuesday to Friday. Samples are four hours apart. The commune is `demo`, its feeders are `mill` and `church`, its
    gateways `mill-cupboard` and `church-cupboard`. A peak for everybody on Friday evening was asked for, and came; a
    surplus for `mill` on Saturday was asked for.
    """

    influx: Store
    victoria: Store
    village: Village
    start_s: int
    end_s: int


@pytest.fixture(scope="session")
def lived_village(tmp_path_factory: pytest.TempPathFactory) -> Village:
    """The village's directory after its week; its journal has every point that telemetry makes of it."""
    found = village.found(tmp_path_factory.mktemp("village") / "demo")
    village.live(found)
    return found


@pytest.fixture(scope="session")
def stores(lived_village: Village, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A real InfluxDB and a real VictoriaMetrics, filled by the real writer from the village's journal."""
    folder = tmp_path_factory.mktemp("stores")
    with influx_store(folder / "influxdb") as influx_, victoria_store(folder / "victoria") as victoria:
        for store in (influx_, victoria):
            village.write(lived_village.directory / FILE, store, folder / store.name)
        end_s = village.START_S + village.DAYS * village.DAY_S + village.GRACE_S + 2 * village.STEP_S
        yield Filled(influx_, victoria, lived_village, village.START_S, end_s)
