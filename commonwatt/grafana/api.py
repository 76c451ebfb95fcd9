"""Grafana's HTTP API: one request at a time, and every way it can fail told as what to do about it.

https://grafana.com/docs/grafana/latest/developers/http_api/
"""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

from commonwatt.errors import UserError
from commonwatt.i18n import _

VERSION_MIN = 10
"""The oldest major version that reads our dashboards and has the API for alert rules as it is used here."""
TIMEOUT_S = 20.0
ANSWER_BYTES_MAX = 16 * 1024 * 1024
DETAIL_MAX = 300
"""Characters of Grafana's own words that an error repeats."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body`: the parsed JSON, or None if it is none."""

    status: int
    body: Any


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET, and the token would go to whom nobody named."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


class Grafana:
    """Speaks to one Grafana as one service account."""

    def __init__(self, url: str, token: str) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise UserError(
                _("this is no address of a Grafana"), where=url, to_do=_("write it as in the browser: https://…")
            )
        if not token.strip() or re.search(r"[^\x21-\x7e]", token.strip()):
            raise UserError(
                _("this is no token"), where="--token", to_do=_("copy it as Grafana showed it, it begins with glsa_")
            )
        self.url = url.rstrip("/")
        self._token = token.strip()
        self._opener = urllib.request.build_opener(_NoRedirects)

    def version(self) -> str | None:
        """Its version; None if it hides it. UserError if nobody answers, if it is no Grafana or too old a one."""
        answer = self._send("GET", "/api/health", None, {}, is_known=False)
        if answer.status != 200 or not isinstance(answer.body, dict) or "database" not in answer.body:
            raise UserError(
                _("what answers there is no Grafana (status {status} for /api/health)").format(status=answer.status),
                where=self.url,
                to_do=_("give the address under which Grafana itself is reached, with its sub-path if it has one"),
            )
        version = answer.body.get("version")
        if not isinstance(version, str) or not version[:1].isdigit():
            return None
        if int(version.split(".")[0]) < VERSION_MIN:
            raise UserError(
                _("this Grafana is {version}; the dashboards need {least} or newer").format(
                    version=version, least=VERSION_MIN
                ),
                where=self.url,
                to_do=_("update Grafana first"),
            )
        return version

    def get(self, path: str, what: str) -> Any:
        """The resource, or None if there is none. `what`: for whom it is asked, as errors name it."""
        answer = self._send("GET", path, None, {})
        if answer.status == 404:
            return None
        return self._good(answer, what)

    def send(self, method: str, path: str, body: Json, what: str, *, stays_editable: bool = False) -> Any:
        """Create or change something and return the answer. `stays_editable`: people may change it in Grafana."""
        return self._good(
            self._send(method, path, body, {"X-Disable-Provenance": "true"} if stays_editable else {}), what
        )

    def _send(
        self, method: str, path: str, body: Json | None, headers: Mapping[str, str], *, is_known: bool = True
    ) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        told = {"Accept": "application/json", "Content-Type": "application/json", **headers}
        if is_known:
            told["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=told)  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                return Answer(response.status, _parsed(response.read(ANSWER_BYTES_MAX)))
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (301, 302, 303, 307, 308):
                    raise self._redirected(error.headers.get("Location", "")) from error
                return Answer(error.code, _parsed(error.read(ANSWER_BYTES_MAX)))
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error or type(error).__name__
            raise UserError(
                _("Grafana is not reached: {reason}").format(reason=reason),
                where=self.url,
                to_do=_("try {url}/api/health in a browser on this machine").format(url=self.url),
            ) from error

    def _redirected(self, location: str) -> UserError:
        return UserError(
            _("it answers that it is elsewhere: {location}").format(location=location[:DETAIL_MAX]),
            where=self.url,
            to_do=_("give that address as --url if you trust it; the token goes nowhere by itself"),
        )

    def _good(self, answer: Answer, what: str) -> Any:
        """The body of a good answer; UserError for any other."""
        if 200 <= answer.status < 300:
            return answer.body
        detail = _detail(answer)
        if answer.status == 401:
            raise UserError(
                _("Grafana does not know this token: {detail}").format(detail=detail),
                where=self.url,
                to_do=_("in Grafana: Administration → Service accounts → add one with the role Admin → add a token"),
            )
        if answer.status == 403:
            raise UserError(
                _("{what}: the token may not do this: {detail}").format(what=what, detail=detail),
                where=self.url,
                to_do=_(
                    "give its service account the role Admin; Editor is enough where --data-source names one that "
                    "is there"
                ),
            )
        raise UserError(
            _("{what}: Grafana answers {status}: {detail}").format(what=what, status=answer.status, detail=detail),
            where=self.url,
            to_do=_("mend what it says and push again: what is there already stays as it is"),
        )


def segment(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _detail(answer: Answer) -> str:
    body = answer.body
    words = body.get("message") or body.get("error") if isinstance(body, dict) else None
    return str(words or _("no reason given"))[:DETAIL_MAX]
