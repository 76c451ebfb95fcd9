"""The server: takes lines at /api/v2/write through influxdb-client, and says what became of them.

InfluxDB 2 and 3 and VictoriaMetrics speak so; InfluxDB 1 behind a path rewrite (docs/spec/telemetry.md).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService
from pydantic import Field, field_validator
from urllib3.exceptions import HTTPError

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.settings import Settings

RETRY_AFTER_S_MAX = 3600.0
"""A server that asks for more is asked again after this."""
SAYS_MAX = 300
TAKEN = 204
"""The one answer that means written: any web page answers 200."""


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
    zone: str = "Europe/Paris"
    """Whose midnights days begin at."""
    timeout_s: float = Field(default=10.0, gt=0)
    """A server that takes longer is treated as down."""
    retry_s: float = Field(default=5.0, gt=0)
    """How long to leave a server that is down alone at first."""
    retry_s_max: float = Field(default=60.0, gt=0)
    """And at most: the pause doubles up to it."""
    sample_s: float = Field(default=60.0, gt=0)
    """How often states are sampled, on the machine's own clock; the demo's days are short."""
    points_per_write: int = Field(default=5000, ge=1, le=50_000)
    """One request's points: fewer where a proxy refuses large bodies."""
    journal_points_max: int = Field(default=1_000_000, ge=1000)
    """Points that wait at most, some 150 bytes each; then samples are left out, and what follows from the books
    waits there."""

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{zone!r} is no time zone, write for example Europe/Paris") from error
        return zone


class What(Enum):
    """What became of a bunch of lines."""

    TAKEN = "taken"
    AGAIN = "again"
    """The server is away, slow or broken: the same again later."""
    CLOSED = "closed"
    """The token or the bucket is wrong: nobody's points will be taken until a person mends it."""
    TOO_LARGE = "too-large"
    MALFORMED = "malformed"
    """At least one of the lines will never be taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`says`: the server's words; `after_s`: when it wants to be asked again, if it says so."""

    what: What
    says: str = ""
    after_s: float | None = None


class Server(Protocol):
    """Where lines go."""

    def write(self, lines: Sequence[str]) -> Answer:
        """Send lines, and wait for the answer."""
        ...


class InfluxServer:
    """A connection to a server, for `with`."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        timeout_ms = int(settings.timeout_s * 1000)
        self._client: Any = InfluxDBClient(
            url=settings.url, token=settings.token, org=settings.org, timeout=timeout_ms, enable_gzip=True
        )
        service: Any = WriteService
        self._service = service(self._client.api_client)

    def __enter__(self) -> "InfluxServer":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._client.close()

    def write(self, lines: Sequence[str]) -> Answer:
        """Send lines, and wait for the answer."""
        try:
            _none, status, _headers = self._service.post_write_with_http_info(
                org=self._settings.org,
                bucket=self._settings.bucket,
                body="\n".join(lines).encode(),
                precision=WritePrecision.S,
            )
        except ApiException as error:
            return answer_of(error.status, error.headers, error.body)
        except (HTTPError, OSError) as error:
            return Answer(What.AGAIN, _words(str(error)))
        return answer_of(status, None, None)

    def write_all(self, lines: Sequence[str]) -> None:
        """Write lines now; UserError with the server's words if it does not take them."""
        count = self._settings.points_per_write
        for first in range(0, len(lines), count):
            answer = self.write(lines[first : first + count])
            if answer.what is not What.TAKEN:
                raise UserError(
                    _("the time-series database does not take the points: {says}").format(says=answer.says),
                    where=self._settings.url,
                    to_do=_("mend it and repeat: what was written is written over itself"),
                )


def answer_of(status: int | None, headers: Any, body: Any) -> Answer:
    """What an HTTP answer means for the lines that were sent."""
    says = _said(status, body)
    if status == TAKEN:
        return Answer(What.TAKEN)
    if status in (400, 422):
        return Answer(What.MALFORMED, says)
    if status == 413:
        return Answer(What.TOO_LARGE, says)
    if status in (401, 403, 404):
        return Answer(What.CLOSED, says)
    return Answer(What.AGAIN, says, _retry_after_s(headers))


def _retry_after_s(headers: Any) -> float | None:
    """Seconds; a date is not worth a parser here."""
    text = str((headers or {}).get("Retry-After") or "")
    return min(float(text), RETRY_AFTER_S_MAX) if text.isdecimal() else None


def _said(status: int | None, body: Any) -> str:
    """The server's own words: the message of a JSON answer, or the beginning of any other."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        found = json.loads(text)
        text = str(found.get("message") or found.get("error") or text) if isinstance(found, dict) else text
    except ValueError:
        pass
    return _words(f"{status} {text}")


def _words(text: str) -> str:
    return " ".join(text.split())[:SAYS_MAX]
