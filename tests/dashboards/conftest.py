"""One InfluxDB for all tests of dashboards: started once, filled with data that never changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboards import fixed
from tests.dashboards.servers import Influx, influxd


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
