"""What is watched on HTTP: `/` the health page for people, `/health` for a monitor, `/metrics` for Prometheus.

It listens where `[observe]` says, by default on this machine alone.
"""

import base64
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from commonwatt import prometheus, state_pages
from commonwatt.bounded_http import Answer
from commonwatt.clock import Protocolar
from commonwatt.i18n import _, speaking
from commonwatt.state_pages import StatePages
from gateway.observe import metrics
from gateway.observe.findings import Level, findings, worst
from gateway.observe.page import STYLE, page

State = Mapping[str, Any]
Watch = StatePages[State]

_STYLE_SHA256 = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
SECURITY = state_pages.HEADERS | {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_SHA256}'; frame-ancestors 'none'",
}


def watch(*, host: str, port: int, protocol: Protocolar) -> Watch:
    """The pages at an address, for `with`; UserError if it cannot be had."""
    return Watch((host, port), protocol, _draw, headers=SECURITY, to_do=_("choose another observe.port"))


def _draw(path: str, state: State | None, age_s: float, language: str) -> Answer | None:
    told = state or {}
    match path:
        case "/":
            return _page(told, age_s, language)
        case "/health":
            level = worst(findings(told, age_s=age_s))
            status = HTTPStatus.SERVICE_UNAVAILABLE if level == Level.RED else HTTPStatus.OK
            return Answer("text/plain; charset=utf-8", f"{level.name.lower()}\n".encode(), status)
        case "/metrics":
            return Answer(prometheus.CONTENT_TYPE, metrics.exposition(told, age_s=age_s))
    return None


def _page(state: State, age_s: float, language: str) -> Answer:
    with speaking(language):
        name = f"{state['commune']} · {state['id'][:8]}" if state else ""
        text = page(findings(state, age_s=age_s), name=name, language=language)
    return Answer("text/html; charset=utf-8", text.encode())
