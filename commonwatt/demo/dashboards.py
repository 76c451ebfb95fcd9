"""The InfluxDB that a demo may fill: somebody's own, named by its URL or by the aggregator's TOML file."""

import contextlib
import http.client
import re
import sqlite3
import sys
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

from commonwatt.demo.layout import Layout
from commonwatt.demo.programs import Program, free_port, wait_for
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.settings import read_toml

BUCKET = "commonwatt"
TIMEOUT_S = 5.0
TOLD_S_MAX = 60.0
RELAY = "influx-relay"
NEW_API = (1, 8)
"""The first InfluxDB with /api/v2/write."""
SAMPLE_S = 0.5
"""Wall seconds between samples of the aggregator's state: a minute would be a day of the demo."""


def settings_of(named: str) -> dict[str, Any]:
    """What the aggregator is told of the database. `named`: http://HOST:8086 of a server without accounts, or a
    TOML file as `aggregator run --influx` reads it. UserError if it is neither. The demo's days are days of UTC."""
    if named.startswith(("http://", "https://")):
        return {"url": named.rstrip("/"), "org": BUCKET, "bucket": BUCKET, "token": "none", "zone": "UTC"}
    path = Path(named)
    if not path.exists():
        raise UserError(
            _("there is no such file, and it is no URL"),
            where=named,
            to_do=_("try make demo INFLUX=http://127.0.0.1:8086"),
        )
    return read_toml(path)


def prepare(named: str, layout: Layout) -> Program | None:
    """Look whether the server is there, make its database if it is of the old kind, and write the aggregator's file.
    Returns the relay that a server before 1.8 needs. UserError if nobody answers there."""
    told = settings_of(named)
    url, relay = str(told.get("url", "")), None
    version = _version(url)
    if version is not None and version < (2, 0) and not Path(named).exists():
        _ask(url, "/query?" + urllib.parse.urlencode({"q": f'CREATE DATABASE "{told["bucket"]}"'}), method="POST")
    if version is not None and version < NEW_API:
        port = free_port()
        words = (sys.executable, "-m", "commonwatt.demo.influx_old", "--port", str(port), "--server", url)
        relay = Program(RELAY, words, layout.logs / f"{RELAY}.log")
        told["url"] = f"http://127.0.0.1:{port}"
    layout.influx.write_text(
        "".join(f"{key} = {_toml(value)}\n" for key, value in {"sample_s": SAMPLE_S, **told}.items())
    )
    layout.influx.chmod(0o600)
    return relay


def await_told(layout: Layout, ends_s: int) -> None:
    """Wait until the database has every interval up to `ends_s`. CommonwattError with the reason's place if it takes
    no points for long."""

    def is_told() -> bool:
        if not layout.telemetry.exists():
            return False
        with contextlib.closing(
            sqlite3.connect(f"file:{layout.telemetry}?mode=ro", uri=True, timeout=TIMEOUT_S)
        ) as journal:
            closed_s, waiting = journal.execute(_TOLD).fetchone()
        return closed_s is not None and closed_s >= ends_s and waiting == 0

    wait_for(
        is_told, what=_("InfluxDB to have taken all points; see {log}").format(log=layout.logs), timeout_s=TOLD_S_MAX
    )


_TOLD = "SELECT (SELECT value FROM mark WHERE name = 'closed_s'), (SELECT count(*) FROM point)"


def _version(url: str) -> tuple[int, int] | None:
    """Of InfluxDB 1 and 2, by /ping; None of what does not tell (3, or a VictoriaMetrics)."""
    told = _ask(url, "/ping").get("X-Influxdb-Version", "")
    match = re.match(r"v?(\d+)\.(\d+)", told)
    return (int(match[1]), int(match[2])) if match else None


def _ask(url: str, path: str, *, method: str = "GET") -> Message:
    """The headers of an answer, whatever it says."""
    request = urllib.request.Request(url + path, method=method)  # noqa: S310 - http and https, or urlopen refuses
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
            headers: Message = answer.headers
            return headers
    except urllib.error.HTTPError as error:
        with error:
            return error.headers
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UserError(
            _("no InfluxDB answers: {reason}").format(reason=getattr(error, "reason", error)),
            where=url or "INFLUX",
            to_do=_("start it first; the demo without INFLUX needs none"),
        ) from error


def _toml(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        line = f'"{escaped}"'
        assert tomllib.loads(f"x = {line}")["x"] == value
        return line
    return str(value).lower() if isinstance(value, bool) else str(value)
