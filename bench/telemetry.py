"""How fast telemetry leaves the journal for a real database, beside what the database takes from a plain client.

The real database is Debian's victoria-metrics, in a directory of its own; its native /api/v2/write needs no rewrite.
"""

import http.client
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from aggregator.telemetry.influx import InfluxServer, InfluxSettings
from aggregator.telemetry.journal import FILE, Journal
from aggregator.telemetry.point import Point
from aggregator.telemetry.writer import Writer
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.demo.programs import free_port
from commonwatt.errors import UserError
from commonwatt.i18n import _

POINTS = 100_000
PLACES = 100
PROGRAM, PACKAGE = "victoria-metrics", "victoria-metrics"
START_S = 1_721_606_400
READY_S_MAX = 30.0


def lines(count: int = POINTS) -> list[str]:
    """Points of feeders as they are written every quarter of an hour, all different."""
    fields = {
        **dict.fromkeys(("import_wh", "export_wh", "supply_wh", "demand_wh", "matched_wh", "solar_wh"), 1000),
        "load_w": 4000,
        "reverse_w": 0,
        "sites": 50,
        "sites_expected": 51,
        "completeness_permille": 980,
    }
    return [
        Point(
            "energy_15m",
            START_S + 900 * (at // PLACES),
            {**fields, "used_wh": at},
            {"level": "feeder", "place": f"feeder {at % PLACES}"},
        ).line("bench")
        for at in range(count)
    ]


def points_per_s() -> tuple[float, str]:
    """From the journal to the server's answer and out of the journal again."""
    return _measured()[0], "points/s"


def plain_points_per_s() -> float:
    """The same lines to the same server in the same run by the standard library's client, from memory."""
    return _measured()[1]


@cache
def _measured() -> tuple[float, float]:
    return measure(POINTS)


def measure(count: int) -> tuple[float, float]:
    """Points a second of ours and of the plain client."""
    sent = lines(count)
    with tempfile.TemporaryDirectory(prefix="commonwatt-bench-") as folder, _database(Path(folder)) as url:
        plain = _plain(url, sent)
        return _ours(url, sent, Path(folder)), plain


def _ours(url: str, sent: list[str], folder: Path) -> float:
    settings = InfluxSettings(url=url, org="bench", bucket="bench", token="bench")  # noqa: S106 (looked at by nobody)
    with Journal(folder / FILE) as journal, InfluxServer(settings) as server:
        with journal.transaction() as transaction:
            transaction.add(sent)
        writer = Writer(server, journal, settings, civil=CivilClock(), protocol=MonotonicClock())
        started_s = time.perf_counter()
        while writer.step():
            pass
        elapsed_s = time.perf_counter() - started_s
        with journal.transaction() as transaction:
            assert transaction.waiting() == 0, writer.trouble
    return len(sent) / elapsed_s


def _plain(url: str, sent: list[str]) -> float:
    """One connection that stays, the same bunches, no compression."""
    size = InfluxSettings.model_fields["points_per_write"].default
    bodies = ["\n".join(sent[at : at + size]).encode() for at in range(0, len(sent), size)]
    connection = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=60)
    started_s = time.perf_counter()
    for body in bodies:
        connection.request("POST", "/api/v2/write?precision=s", body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204, answer.status
    elapsed_s = time.perf_counter() - started_s
    connection.close()
    return len(sent) / elapsed_s


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    program = shutil.which(PROGRAM)
    if program is None:
        raise UserError(
            _("{program} is not installed").format(program=PROGRAM),
            to_do=f"apt-get install --no-install-recommends {PACKAGE}",
        )
    port = free_port()
    words = [program, f"-storageDataPath={folder / 'data'}", f"-httpListenAddr=127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*words, "-retentionPeriod=100y"], stdout=log, stderr=log)
        try:
            _await(f"{url}/health", process)
            yield url
        finally:
            process.kill()
            process.wait()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    until_s = time.monotonic() + READY_S_MAX
    while True:
        try:
            urllib.request.urlopen(url).close()  # noqa: S310 (our own server)
            return
        except (urllib.error.URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > until_s:
                raise UserError(_("{program} does not start").format(program=PROGRAM)) from error
            time.sleep(0.05)
