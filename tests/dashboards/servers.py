"""The real databases that dashboards ask: Debian's InfluxDB 1.6 and VictoriaMetrics, each in a folder of its own."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from commonwatt.demo.programs import free_port

_INFLUXD = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
index-version = "inmem"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


@dataclass(frozen=True)
class Influx:
    """A running InfluxDB 1. Times are Unix seconds."""

    url: str

    def write(self, database: str, lines: Sequence[str]) -> None:
        """Store points in line protocol, making the database if need be."""
        self._get("/query", {"q": f'CREATE DATABASE "{database}"'}, b"")
        for start in range(0, len(lines), 5000):
            body = "\n".join(lines[start : start + 5000]).encode()
            self._get("/write", {"db": database, "precision": "s"}, body)

    def ask(self, database: str, query: str) -> list[dict[str, Any]]:
        """The series of an InfluxQL query: name, tags, columns and values. ValueError with the server's words."""
        told = json.loads(self._get("/query", {"db": database, "epoch": "s", "q": query}))
        if "error" in told:
            raise ValueError(told["error"])
        (result,) = told["results"]
        if "error" in result:
            raise ValueError(result["error"])
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def _get(self, path: str, parameters: dict[str, str], body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", data=body)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from error


@contextmanager
def influxd(folder: Path, ports: tuple[int, int] | None = None) -> Iterator[Influx]:
    """Run an InfluxDB 1 while the `with` lasts, and kill it then. `ports`: to start it again where it was."""
    program = program_of("influxd", "influxdb")
    port, rpc = ports or (free_port(), free_port())
    settings = folder / "influxdb.conf"
    settings.write_text(_INFLUXD.format(folder=folder, port=port, rpc=rpc))
    with running([program, "-config", str(settings)], f"http://127.0.0.1:{port}/ping", folder / "influxd.log") as url:
        yield Influx(url.removesuffix("/ping"))


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[str]:
    """Run a VictoriaMetrics while the `with` lasts: its URL. A point that is written twice counts once."""
    port = free_port()
    command = [program_of("victoria-metrics", "victoria-metrics"), f"-httpListenAddr=127.0.0.1:{port}"]
    command += [f"-storageDataPath={folder}", "-dedup.minScrapeInterval=1ms", "-retentionPeriod=100y"]
    with running(command, f"http://127.0.0.1:{port}/health", folder.with_suffix(".log")) as url:
        yield url.removesuffix("/health")


def program_of(name: str, package: str) -> str:
    """Where a program of Debian is; the test is left out, saying how to install it, where it is not."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


@contextmanager
def running(command: Sequence[str], url: str, log: Path) -> Iterator[str]:
    """Run a program while the `with` lasts, from when `url` answers."""
    with log.open("ab") as told, subprocess.Popen(command, stdout=told, stderr=told) as process:
        try:
            await_that(lambda: _answers(url), process, log)
            yield url
        finally:
            process.kill()


def await_that(is_so: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something is so; AssertionError with the log if the process ends before."""
    while not is_so():
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url).close()
    except OSError:
        return False
    return True
