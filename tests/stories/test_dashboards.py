"""The operator's three commands: an InfluxDB, a demo that fills it, a push to a Grafana; then what it would show."""

import json
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.servers import influxd
from tests.grafana.server import TOKEN, Server

COMMONWATT = str(Path(sys.executable).with_name("commonwatt"))

pytestmark = [pytest.mark.story, pytest.mark.soak]


def run(*words: object) -> str:
    argv = [COMMONWATT, *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_grafana_when_three_commands_were_typed(tmp_path: Path) -> None:
    """The demo commune is there at the days that the dashboards open with, in the data source that was made."""
    home = tmp_path / "influx"
    home.mkdir()
    with influxd(home) as influx, Server() as grafana:
        _type_them(influx.url, grafana, tmp_path)


def _type_them(influx: str, grafana: Server, tmp_path: Path) -> None:
    out = run("demo", "--homes", "40", "--speed", "720", "--influx", influx, "--dir", tmp_path / "demo")
    assert "commonwatt dashboards push" in out
    where = ("--url", grafana.url, "--token", TOKEN)
    run("dashboards", "push", *where, "--influx", influx, "--demo", tmp_path / "demo")
    source = grafana.room.sources["commonwatt"]
    board = grafana.room.dashboards["cw-operator"]["dashboard"]
    span = f"time >= '{board['time']['from']}' AND time <= '{board['time']['to']}'"
    query = f'SELECT sum("import_wh") FROM "energy_15m" WHERE "level" = \'commune\' AND {span} GROUP BY "commune"'
    (series,) = asked(source, query)
    assert series["tags"] == {"commune": "demo"}
    ((_time, import_wh),) = series["values"]
    assert import_wh > 100_000


def asked(source: dict[str, Any], query: str) -> list[dict[str, Any]]:
    """As Grafana asks a data source of that kind."""
    words = urllib.parse.urlencode({"db": source["jsonData"]["dbName"], "q": query})
    with urllib.request.urlopen(f"{source['url']}/query?{words}") as answer:
        series: list[dict[str, Any]] = json.load(answer)["results"][0]["series"]
    return series
