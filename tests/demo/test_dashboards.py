"""A demo that fills an InfluxDB: the real one of Debian, 1.6, through the relay that it needs."""

import json
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from commonwatt.demo import dashboards
from commonwatt.demo.influx_old import path_of_old
from commonwatt.demo.layout import Layout
from commonwatt.demo.programs import Program, answers, free_port, wait_for
from commonwatt.errors import UserError

INFLUXD = shutil.which("influxd")
needs_influxd = pytest.mark.skipif(INFLUXD is None, reason="influxd is not here (Debian package influxdb)")


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[str]:
    """The URL of an empty InfluxDB 1."""
    port, rpc, home = free_port(), free_port(), tmp_path / "influx"
    home.mkdir()
    (home / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n[meta]\ndir = "{home}/meta"\n'
        f'[data]\ndir = "{home}/data"\nwal-dir = "{home}/wal"\n[http]\nbind-address = "127.0.0.1:{port}"\n'
        "log-enabled = false\n[monitor]\nstore-enabled = false\n"
    )
    program = Program("influxd", [INFLUXD or "", "-config", str(home / "influxdb.conf")], home / "log")
    program.start()
    wait_for(lambda: answers("127.0.0.1", port), what="influxd", timeout_s=30, programs=[program])
    yield f"http://127.0.0.1:{port}"
    program.stop()


@needs_influxd
def test_prepare_when_influx_is_old(influxd: str, tmp_path: Path) -> None:
    """Its database is made, and points written by the aggregator's own client arrive there, through the relay."""
    layout = Layout(tmp_path)
    relay = dashboards.prepare(influxd, layout)
    assert relay is not None
    told = tomllib.loads(layout.influx.read_text())
    port = int(told["url"].rpartition(":")[2])
    relay.start()
    try:
        wait_for(lambda: answers("127.0.0.1", port), what="relay", timeout_s=30, programs=[relay])
        client = InfluxDBClient(url=told["url"], token=told["token"], org=told["org"], enable_gzip=True)
        with client, client.write_api(write_options=SYNCHRONOUS) as writer:
            writer.write(
                told["bucket"],
                record="energy_15m,place=mill\\ street sites=20i 1720396800",
                write_precision=WritePrecision.S,
            )
            with pytest.raises(ApiException) as refused:
                writer.write(told["bucket"], record="energy_15m sites=", write_precision=WritePrecision.S)
            assert refused.value.status == 400
            assert "unable to parse" in str(refused.value.body)
        assert query(influxd, 'SELECT * FROM "energy_15m"') == [["2024-07-08T00:00:00Z", "mill street", 20]]
    finally:
        relay.stop()
    assert not relay.is_running


def query(server: str, text: str) -> list[list[object]]:
    asked = urllib.parse.urlencode({"db": dashboards.BUCKET, "q": text})
    with urllib.request.urlopen(f"{server}/query?{asked}") as answer:
        (series,) = json.load(answer)["results"][0]["series"]
    values: list[list[object]] = series["values"]
    return values


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("/api/v2/write?org=a&bucket=b&precision=s", "/write?db=b&precision=s"),
        ("/api/v2/write?bucket=b%2Fc&precision=us", "/write?db=b%2Fc&precision=u"),
        ("/api/v2/write?bucket=b", "/write?db=b&precision=ns"),
        ("/api/v2/write?bucket=b&precision=h", None),
        ("/api/v2/write?org=a", None),
        ("/query?q=DROP+DATABASE+b", None),
    ],
)
def test_path_when_passed_on(new: str, old: str | None) -> None:
    """Writes only, and no precision that the old server would mistake for nanoseconds."""
    assert path_of_old(new) == old


def test_prepare_when_nobody_answers(tmp_path: Path) -> None:
    """Said before the commune lives a day in vain."""
    with pytest.raises(UserError, match="no InfluxDB answers"):
        dashboards.prepare(f"http://127.0.0.1:{free_port()}", Layout(tmp_path))
    with pytest.raises(UserError, match="no such file"):
        dashboards.prepare("influx.toml", Layout(tmp_path))


def test_settings_when_a_file_names_them(tmp_path: Path) -> None:
    """The aggregator's own file is taken as it is."""
    file = tmp_path / "influx.toml"
    file.write_text('url = "http://x:8086"\norg = "o"\nbucket = "b"\ntoken = "t\\"x"\n')
    assert dashboards.settings_of(str(file)) == {"url": "http://x:8086", "org": "o", "bucket": "b", "token": 't"x'}


def test_relay_when_the_server_is_gone(tmp_path: Path) -> None:
    """502, as any proxy says: the aggregator keeps its points and comes again."""
    port = free_port()
    argv = [
        sys.executable,
        "-m",
        "commonwatt.demo.influx_old",
        "--port",
        str(port),
        "--server",
        f"http://127.0.0.1:{free_port()}",
    ]
    with subprocess.Popen(argv) as relay:
        try:
            wait_for(lambda: answers("127.0.0.1", port), what="relay", timeout_s=30)
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/v2/write?bucket=b&precision=s", data=b"a b=1", method="POST"
            )
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            assert refused.value.code == 502
            refused.value.close()
        finally:
            relay.terminate()
