"""The operator's three commands: an InfluxDB, a demo that fills it, a push to a Grafana; then what it would show.

And a Prometheus that watches the demo's own processes while they run.
"""

import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from commonwatt import status
from commonwatt.demo.programs import Program, answers, free_port, wait_for
from tests.dashboards.servers import influxd, program_of
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


TOLD = re.compile(r"\bcommonwatt_\w+|\bup{[^}]*}")
ELSEWHERE = tuple(f"commonwatt_aggregator_{name}" for name in ("witness_", "telemetry_", "blocks_refused_"))
"""What the demo has none of: witnesses, here no InfluxDB, and nothing is refused."""


def test_prometheus_when_it_watches_the_demo(tmp_path: Path) -> None:
    """By the file that the demo leaves: everybody is scraped, every rule is understood and finds its series, and
    nothing is wrong with a demo."""
    directory, port = tmp_path / "demo", free_port()
    words = [COMMONWATT, "demo", "--speed", "1440", "--dir", str(directory)]
    with (tmp_path / "demo.txt").open("wb") as said, subprocess.Popen(words, stdout=said, stderr=said) as demo:
        try:
            wait_for(lambda: (directory / "aggregator-status.json").exists(), what="the demo", timeout_s=120)
            with prometheus(directory / "prometheus.yml", tmp_path, port):
                wait_for(lambda: is_under_way(directory), what="the first hours", timeout_s=180)
                found = judged(f"http://127.0.0.1:{port}")
        finally:
            demo.wait(180)
    assert demo.returncode == 0, (tmp_path / "demo.txt").read_text()
    assert found == {"not scraped": [], "not understood": [], "not there": [], "firing": []}


def is_under_way(directory: Path) -> bool:
    """Whether two hours were settled."""
    return bool(status.read(directory / "aggregator-status.json").get("intervals", {}).get("closed", 0) >= 8)


@contextmanager
def prometheus(config: Path, folder: Path, port: int) -> Iterator[None]:
    """A real one, by this file."""
    where = (f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder / 'tsdb'}")
    program = Program(
        "prometheus", [program_of("prometheus", "prometheus"), f"--config.file={config}", *where], folder / "log"
    )
    program.start()
    try:
        wait_for(lambda: answers("127.0.0.1", port), what="Prometheus", timeout_s=60, programs=[program])
        yield
    finally:
        program.stop()


def judged(url: str) -> dict[str, list[str]]:
    """What it has against the demo."""

    def ask(path: str, **words: str) -> Any:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(words)}") as answer:
            return json.load(answer)["data"]

    def group() -> Any:
        (found,) = ask("rules")["groups"]
        return found

    wait_for(lambda: all(rule["health"] != "unknown" for rule in group()["rules"]), what="the rules", timeout_s=90)
    targets, rules = ask("targets")["activeTargets"], group()["rules"]
    named = {name for rule in rules for name in TOLD.findall(rule["query"]) if not name.startswith(ELSEWHERE)}
    assert len(targets) == 2
    assert len(named) > 10
    return {
        "not scraped": [target["scrapeUrl"] for target in targets if target["health"] != "up"],
        "not understood": [rule["name"] for rule in rules if rule["health"] != "ok"],
        "not there": sorted(name for name in named if not ask("query", query=name)["result"]),
        "firing": [alert["labels"]["alertname"] for alert in ask("alerts")["alerts"] if alert["state"] == "firing"],
    }
