"""What is watched on HTTP: `/health` (JSON, 503 when failing) for people and monitors, `/metrics` for Prometheus.

Read only, no password: it tells how the process fares, and nothing of anyone's energy.
"""

import json
from http import HTTPStatus

from aggregator.observe import metrics
from aggregator.observe.findings import Level, findings, worst
from aggregator.observe.state import State
from commonwatt.bounded_http import Answer, Pages
from commonwatt.clock import Protocolar
from commonwatt.errors import UserError
from commonwatt.i18n import _, preferred, speaking

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Watch:
    """Serves the newest state while its `with` lasts. `see` is called by the loop, the rest by HTTP's threads."""

    def __init__(self, host: str, port: int, protocol: Protocolar) -> None:
        self._protocol = protocol
        self._where = f"{host}:{port}"
        self._seen: tuple[State | None, float] = None, protocol.monotonic_s()
        self._pages = Pages((host, port), self.answer, headers=HEADERS, name="observe-http")

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        return self._pages.port

    def see(self, state: State) -> None:
        """Take the newest state."""
        self._seen = state, self._protocol.monotonic_s()

    def __enter__(self) -> "Watch":
        try:
            self._pages.__enter__()
        except OSError as error:
            raise UserError(
                _("cannot serve /health and /metrics: {error}").format(error=error.strerror),
                where=self._where,
                to_do=_("choose another port with --watch"),
            ) from error
        return self

    def __exit__(self, *exception: object) -> None:
        self._pages.__exit__(*exception)

    def answer(self, path: str, accept_language: str) -> Answer | None:
        """What is at a path, in the reader's language; None if nothing is."""
        state, told_s = self._seen
        age_s = self._protocol.monotonic_s() - told_s
        match path:
            case "/health":
                return _health(state, age_s, preferred(accept_language))
            case "/metrics":
                return Answer(metrics.CONTENT_TYPE, metrics.exposition(state, age_s=age_s))
        return None


def _health(state: State | None, age_s: float, language: str) -> Answer:
    with speaking(language):
        found = findings(state, age_s=age_s)
        level = worst(found)
        body = {
            "status": level.label,
            "leads": state is not None and state.books is not None,
            "findings": [finding.as_json() for finding in found],
        }
    status = HTTPStatus.SERVICE_UNAVAILABLE if level is Level.FAILING else HTTPStatus.OK
    text = json.dumps(body, ensure_ascii=False, indent=1)
    return Answer("application/json; charset=utf-8", text.encode(), status)
