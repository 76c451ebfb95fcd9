"""The sink: points to InfluxDB 2 or 3 through influxdb-client, in a thread that may fail without anyone waiting.

The main loop reads points from the database and hands over one bunch at a time; the thread writes it, repeats it
until it is accepted, and notes the cursor. A lost cursor only means that points are written again, over themselves.
"""

import logging
import queue
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from pydantic import Field
from urllib3.exceptions import HTTPError

from aggregator.telemetry.points import Cursor, Point
from commonwatt import status
from commonwatt.settings import Settings

log = logging.getLogger(__name__)

CURSOR_FILE = "influx.json"


class InfluxSettings(Settings):
    """Where dashboards read from. Telemetry only: nothing of the books depends on it."""

    url: str
    """The server, http:// or https://."""
    org: str
    """The organisation that owns the bucket (InfluxDB 3: any text)."""
    bucket: str
    """Where points go."""
    token: str = Field(repr=False)
    """A token that may write this bucket and nothing else."""
    timeout_s: float = Field(default=10.0, gt=0)
    """A server that takes longer is treated as down."""
    retry_s: float = Field(default=30.0, gt=0)
    """How long to leave a server that is down alone."""


class InfluxSink:
    """Writes bunches of points in its own thread, for `with`. `commune`: the tag of every point."""

    def __init__(self, settings: InfluxSettings, *, commune: str, directory: Path) -> None:
        self._settings = settings
        self._commune = commune
        self._cursor_file = directory / CURSOR_FILE
        self.cursor = Cursor(**status.read(self._cursor_file))
        self.trouble: str | None = None
        """Why points are not taken, in the server's words; None while they are."""
        self.points_dropped = 0
        """Points in bunches that the server calls malformed: the same bytes again would be so again."""
        self._handed: queue.Queue[tuple[Sequence[Point], Cursor]] = queue.Queue(1)
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="influx", daemon=True)

    def __enter__(self) -> "InfluxSink":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(self._settings.timeout_s + 1)

    @property
    def is_idle(self) -> bool:
        """Whether the last bunch was written and another may be handed over."""
        return self._idle.is_set()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for the last bunch to be written; whether it was."""
        return self._idle.wait(timeout_s)

    def hand_over(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Give the thread its next bunch; `cursor` is where we are when it is written. Only when idle."""
        assert self.is_idle
        self._idle.clear()
        self._handed.put_nowait((points, cursor))

    def _run(self) -> None:
        url, token, org = self._settings.url, self._settings.token, self._settings.org
        with InfluxDBClient(url=url, token=token, org=org, timeout=int(self._settings.timeout_s * 1000)) as client:
            while not self._stopping.is_set():
                try:
                    points, cursor = self._handed.get(timeout=0.1)
                except queue.Empty:
                    continue
                self._write(client, points, cursor)

    def _write(self, client: InfluxDBClient, points: Sequence[Point], cursor: Cursor) -> None:
        """Write one bunch, however long it takes."""
        records = [_record(point, self._commune) for point in points]
        with client.write_api(write_options=SYNCHRONOUS) as writer:
            while not self._stopping.is_set():
                try:
                    if records:
                        writer.write(self._settings.bucket, record=records, write_precision=WritePrecision.S)
                except (ApiException, HTTPError, OSError) as error:
                    if not _is_for_good(error):
                        self._complain(error)
                        self._stopping.wait(self._settings.retry_s)
                        continue
                    log.error("InfluxDB calls points malformed, they are left out: %s", error)
                    self.points_dropped += len(points)
                self.trouble = None
                self._note(cursor)
                return

    def _complain(self, error: Exception) -> None:
        trouble = str(getattr(error, "reason", None) or error).partition("\n")[0]
        if trouble != self.trouble:
            log.warning("InfluxDB takes no points, they wait: %s", trouble)
        self.trouble = trouble

    def _note(self, cursor: Cursor) -> None:
        self.cursor = cursor
        try:
            status.write(self._cursor_file, asdict(cursor))
        except OSError as error:
            log.warning("the cursor of InfluxDB cannot be kept (%s); points will be written again", error)
        self._idle.set()


def _is_for_good(error: Exception) -> bool:
    """Whether asking again is of no use. A partial write (400) has stored what was well-formed."""
    return isinstance(error, ApiException) and error.status in (400, 413, 422)


def _record(point: Point, commune: str) -> dict[str, Any]:
    return {
        "measurement": point.measurement,
        "tags": {"commune": commune},
        "fields": dict(point.fields),
        "time": point.time_s,
    }
