"""What is watched on HTTP: `/` the health page for people, `/health` for a monitor, `/metrics` for Prometheus.

Read only, no account: it tells how the gateway fares and no energy. It listens where `[observe]` says, by default on
this machine alone.
"""

import base64
import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from commonwatt.clock import Protocolar
from commonwatt.errors import UserError
from commonwatt.i18n import _, preferred, speaking
from gateway.bounded_http import POLL_S, TIMEOUT_S, BoundedServer
from gateway.observe import metrics
from gateway.observe.findings import Level, findings, worst
from gateway.observe.page import STYLE, page

log = logging.getLogger(__name__)

_STYLE_SHA256 = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
SECURITY = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_SHA256}'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets."""

    content_type: str
    body: bytes
    status: HTTPStatus = HTTPStatus.OK


class Watch:
    """Serves the newest state while its `with` lasts. `see` is called by the loop, the rest by HTTP's threads."""

    def __init__(self, *, host: str, port: int, protocol: Protocolar) -> None:
        self._address = host, port
        self._protocol = protocol
        self._seen: tuple[dict[str, Any], float] = {}, protocol.monotonic_s()
        self._server: BoundedServer | None = None

    def see(self, state: dict[str, Any]) -> None:
        """Take the newest state; it must not be changed afterwards."""
        self._seen = state, self._protocol.monotonic_s()

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        assert self._server is not None, "serves while its `with` lasts"
        return int(self._server.server_address[1])

    def __enter__(self) -> "Watch":
        try:
            self._server = BoundedServer(self._address, _handler(self.answer))
        except OSError as error:
            raise UserError(
                _("cannot serve the health page: {error}").format(error=error.strerror),
                where="{}:{}".format(*self._address),
                to_do=_("choose another observe.port"),
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name="observe-http", daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._server is not None, "entered before"
        self._server.shutdown()
        self._server.server_close()

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


def _handler(answer: Callable[[str, str], Answer | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S

        def do_GET(self) -> None:
            found = answer(self.path.partition("?")[0], self.headers.get("Accept-Language", ""))
            if found is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(found.status)
            headers = {"Content-Type": found.content_type, "Content-Length": str(len(found.body)), **SECURITY}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found.body)

        def version_string(self) -> str:
            return "commonwatt"

        def log_message(self, form: str, *arguments: object) -> None:
            log.debug(form, *arguments)

    return Handler
