"""What is watched on HTTP: `/health` (JSON, 503 when failing) for people and monitors, `/metrics` for Prometheus."""

import json
from http import HTTPStatus

from aggregator.observe import metrics
from aggregator.observe.findings import Level, findings, worst
from aggregator.observe.state import State
from commonwatt import prometheus
from commonwatt.bounded_http import Answer
from commonwatt.clock import Protocolar
from commonwatt.i18n import _, speaking
from commonwatt.state_pages import StatePages

Watch = StatePages[State]


def watch(host: str, port: int, protocol: Protocolar) -> Watch:
    """The pages at an address, for `with`; UserError if it cannot be had."""
    return Watch((host, port), protocol, _draw, to_do=_("choose another port with --watch"))


def _draw(path: str, state: State | None, age_s: float, language: str) -> Answer | None:
    match path:
        case "/health":
            return _health(state, age_s, language)
        case "/metrics":
            return Answer(prometheus.CONTENT_TYPE, metrics.exposition(state, age_s=age_s))
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
