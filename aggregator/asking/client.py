"""The operator's side of `/v1/requests`: reads what a program needs to sign a request, signs it, and sends it."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field

from aggregator.asking.http import COSE, PATH
from commonwatt import settings
from commonwatt.errors import UserError
from commonwatt.i18n import _

TIMEOUT_S = 60.0
"""Longer than a ledger takes to answer."""
ANSWER_BYTES_MAX = 1024 * 1024


class _Read(BaseModel):
    """Of a server that may be newer than we are: what we do not know is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Shown(_Read):
    """A request as the server shows it."""

    place: int
    sha256: str
    asked_s: int
    kind: str
    start_s: int
    end_s: int
    start: str
    end: str
    feeder: str | None
    feeder_name: str | None
    counts: bool
    note: str = ""


class Told(_Read):
    """What `GET /v1/requests` says."""

    commune: str
    genesis_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    now_s: int
    timezone: str
    notice_s: int | None
    feeders: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]]
    requests: list[Shown]

    @property
    def zone(self) -> ZoneInfo:
        """The commune's clock; UserError if there is none of this name."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise UserError(_("{name!r} is no time zone").format(name=self.timezone)) from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What was signed goes to whom the operator named."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class RequestServer:
    """One commune's `commonwatt operator serve`, by its address without /v1/requests."""

    url: str

    def told(self, *, with_past: bool = False) -> Told:
        """What stands. UserError: it is not reached, or something else answers there."""
        return settings.validate(Told, self._send(None, "?all=1" if with_past else ""), where=self.url)

    def announce(self, signed: bytes) -> Shown:
        """Send a signed request; UserError repeats why it is not taken. The same bytes may be sent again."""
        return settings.validate(Shown, self._send(signed, ""), where=self.url)

    def _send(self, body: bytes | None, query: str) -> dict[str, Any]:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise UserError(_("this is no address"), where=self.url, to_do=_("write it as https://HOST"))
        request = urllib.request.Request(  # noqa: S310 - checked above
            self.url.rstrip("/") + PATH + query, data=body, headers={"Content-Type": COSE} if body else {}
        )
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT_S) as response:
                return self._parsed(response.read(ANSWER_BYTES_MAX))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.code, error.read(ANSWER_BYTES_MAX)) from error
        except (OSError, HTTPException) as error:
            raise UserError(
                _("it is not reached: {reason}").format(reason=getattr(error, "reason", None) or error),
                where=self.url,
                to_do=_("nothing is lost by announcing again: the same request is taken once"),
            ) from error

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UserError(
                _("what answers there is no commonwatt operator serve"),
                where=self.url,
                to_do=_("give the address without {path}").format(path=PATH),
            )
        return found

    def _refused(self, status: int, data: bytes) -> UserError:
        try:
            detail = json.loads(data)["detail"]
        except (ValueError, KeyError, TypeError):
            detail = _("no reason given")
        return UserError(_("not taken ({status}): {detail}").format(status=status, detail=detail), where=self.url)
