"""What is watched on HTTP: `/` the health page for people, `/health` for a monitor, `/metrics` for Prometheus.

Read only, no account: it tells how the gateway fares and no energy. It listens where `[observe]` says, by default on
this machine alone.
"""

import base64
import hashlib
from http import HTTPStatus
from typing import Any

from commonwatt.bounded_http import Answer, Pages
from commonwatt.clock import Protocolar
from commonwatt.errors import UserError
from commonwatt.i18n import _, preferred, speaking
from gateway.observe import metrics
from gateway.observe.findings import Level, findings, worst
from gateway.observe.page import STYLE, page

_STYLE_SHA256 = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
SECURITY = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_SHA256}'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Watch:
    """Serves the newest state while its `with` lasts. `see` is called by the loop, the rest by HTTP's threads."""

    def __init__(self, *, host: str, port: int, protocol: Protocolar) -> None:
        self._address = host, port
        self._protocol = protocol
        self._seen: tuple[dict[str, Any], float] = {}, protocol.monotonic_s()
        self._pages = Pages(self._address, self.answer, headers=SECURITY, name="observe-http")

    def see(self, state: dict[str, Any]) -> None:
        """Take the newest state; it must not be changed afterwards."""
        self._seen = state, self._protocol.monotonic_s()

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        return self._pages.port

    def __enter__(self) -> "Watch":
        try:
            self._pages.__enter__()
        except OSError as error:
            raise UserError(
                _("cannot serve the health page: {error}").format(error=error.strerror),
                where="{}:{}".format(*self._address),
                to_do=_("choose another observe.port"),
            ) from error
        return self

    def __exit__(self, *exception: object) -> None:
        self._pages.__exit__(*exception)

    def answer(self, path: str, accept_language: str) -> Answer | None:
        """What is at a path, in the reader's language; None if nothing is."""
        state, told_s = self._seen
        age_s = self._protocol.monotonic_s() - told_s
        match path:
            case "/":
                return _page(state, age_s, preferred(accept_language))
            case "/health":
                level = worst(findings(state, age_s=age_s))
                status = HTTPStatus.SERVICE_UNAVAILABLE if level == Level.RED else HTTPStatus.OK
                return Answer("text/plain; charset=utf-8", f"{level.name.lower()}\n".encode(), status)
            case "/metrics":
                return Answer(metrics.CONTENT_TYPE, metrics.exposition(state, age_s=age_s))
        return None


def _page(state: dict[str, Any], age_s: float, language: str) -> Answer:
    with speaking(language):
        name = f"{state['commune']} · {state['id'][:8]}" if state else ""
        text = page(findings(state, age_s=age_s), name=name, language=language)
    return Answer("text/html; charset=utf-8", text.encode())
