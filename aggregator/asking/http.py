"""`/v1/requests` on HTTP: the operator announces a peak or a surplus, everybody reads what stands.

    POST /v1/requests    application/cose: a statement as the operator signed it (docs/spec/statement.cddl)
    GET  /v1/requests    what is not over, and what a program needs to sign another; ?all=1: what is over, too

A process of its own: the aggregator waits for nobody who asks. What is refused is a problem (RFC 9457) whose type
ends in the reason (docs/operating/requests.md).
"""

import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self
from zoneinfo import ZoneInfo

from aggregator.asking import judging
from aggregator.asking.desk import Known, NotTaken, RequestDesk, Taken
from aggregator.asking.judging import Refused
from aggregator.statements.statement import SIGNED_SIZE_MAX
from commonwatt.bounded_http import Answer, Pages, Posted
from commonwatt.clock import Protocolar
from commonwatt.errors import FormatError, StorageError, UserError
from commonwatt.i18n import _, preferred, speaking
from commonwatt.problems import as_json, problem
from commonwatt.state_pages import HEADERS
from ledger.http.limits import RateLimit

log = logging.getLogger(__name__)

PATH = "/v1/requests"
COSE = "application/cose"
BURST, PER_S = 30, 1.0
"""Requests at once from one address, and a second in the long run: an operator announces a few a day."""

_STATUS = {
    Refused.NOT_THE_OPERATOR: HTTPStatus.FORBIDDEN,
    Refused.OVERLAPS: HTTPStatus.CONFLICT,
    Refused.TOO_MANY: HTTPStatus.CONFLICT,
}
"""Of a refusal; otherwise 422: it was understood, and makes no sense."""


class RequestPages:
    """Serves a desk while its `with` lasts. `protocol`: paces those who ask too often."""

    def __init__(self, desk: RequestDesk, address: tuple[str, int], protocol: Protocolar) -> None:
        self._desk = desk
        self._limit, self._turn = RateLimit(burst=BURST, per_s=PER_S, clock=protocol), threading.Lock()
        self._pages = Pages(
            address,
            self.answer,
            headers=HEADERS,
            name="requests-http",
            to_do=_("choose another port with --listen"),
            with_query=True,
            takes=self.take,
            body_bytes_max=SIGNED_SIZE_MAX,
        )

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        return self._pages.port

    def __enter__(self) -> Self:
        self._pages.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._pages.__exit__(*exception)

    def answer(self, target: str, accept_language: str) -> Answer:
        """What stands, in the language of who asks."""
        with speaking(preferred(accept_language)):
            path, _mark, query = target.partition("?")
            if path != PATH:
                return problem(HTTPStatus.NOT_FOUND, "http", _("There is only {path}.").format(path=PATH))
            if query not in ("", "all=1"):
                return problem(HTTPStatus.BAD_REQUEST, "parameters", _("The only parameter is all=1."))
            return self._carefully(lambda: as_json(HTTPStatus.OK, self._told(with_past=bool(query))))

    def take(self, posted: Posted) -> Answer:
        """What became of a request."""
        with speaking(preferred(posted.accept_language)):
            with self._turn:
                wait_s = self._limit.wait_s(posted.client)
            if wait_s > 0:
                says = _("Too many at once: ask again in {seconds} s.").format(seconds=int(wait_s) + 1)
                status = HTTPStatus.TOO_MANY_REQUESTS
                return problem(status, "too-many-requests", says, headers={"Retry-After": str(int(wait_s) + 1)})
            return self._misfit(posted) or self._carefully(lambda: self._take(posted.body or b""))

    def _misfit(self, posted: Posted) -> Answer | None:
        """What can be said without looking into it."""
        if posted.target != PATH:
            return problem(HTTPStatus.NOT_FOUND, "http", _("There is only {path}.").format(path=PATH))
        if posted.content_type.partition(";")[0].strip().lower() != COSE:
            says = _("Send the signed statement as {type}.").format(type=COSE)
            return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", says)
        if posted.body is None:
            says = _("A signed statement has at most {size} bytes, and Content-Length says how many.")
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            return problem(status, "too-large", says.format(size=SIGNED_SIZE_MAX))
        return None

    def _carefully(self, act: Any) -> Answer:
        try:
            answer: Answer = act()
        except FormatError as error:
            says = _("This is no statement as the specification has it: {error}").format(error=error)
            return problem(HTTPStatus.BAD_REQUEST, error.reason, says)
        except (StorageError, UserError) as error:
            log.warning("%s", error)
            says = _("It cannot be done just now: {error}").format(error=error)
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", says, headers={"Retry-After": "60"})
        return answer

    def _take(self, data: bytes) -> Answer:
        found = self._desk.take(data)
        if isinstance(found, NotTaken):
            log.warning("a request is not taken: %s", found.refused.label)
            beside = {} if found.beside is None else {"place": found.beside.place}
            status = _STATUS.get(found.refused, HTTPStatus.UNPROCESSABLE_ENTITY)
            return problem(status, found.refused.label, judging.sentence(found.refused), more=beside)
        if not found.is_repeat:
            log.info("entry %d of the log is the operator's request", found.known.request.place)
        status = HTTPStatus.OK if found.is_repeat else HTTPStatus.CREATED
        shown = _shown(found.known, self._desk.policy.rules.zone, self._desk.feeders)
        return as_json(status, {**shown, "note": self._note(found)})

    def _note(self, taken: Taken) -> str:
        """What an operator wants to know of it at once."""
        if taken.known.counts:
            return _("It stands. Homes that move their use are rewarded, and devices are told.")
        terms = self._desk.policy.rules.shifting
        if terms is None:
            return _("It stands, and devices are told. The policy in force rewards nobody for it.")
        return _("It stands, and devices are told. It came less than {hours} h ahead, so nobody is rewarded.").format(
            hours=f"{terms.notice_s / 3600:g}"
        )

    def _told(self, *, with_past: bool) -> dict[str, Any]:
        desk, now_s = self._desk, self._desk.now_s
        rules, feeders = desk.policy.rules, desk.feeders
        standing = [row for row in desk.known() if with_past or row.request.end_s > now_s]
        standing.sort(key=lambda row: row.request.start_s)
        return {
            "commune": desk.commune.name,
            "genesis_sha256": desk.commune.genesis_sha256,
            "now_s": int(now_s),
            "timezone": str(rules.zone),
            "notice_s": None if rules.shifting is None else rules.shifting.notice_s,
            "feeders": {name: feeder.hex() for feeder, name in feeders.items()},
            "requests": [_shown(row, rules.zone, feeders) for row in standing],
        }


def _shown(known: Known, zone: ZoneInfo, feeders: Mapping[bytes, str]) -> dict[str, Any]:
    """A request as everybody reads it; times in seconds and by the commune's clock."""
    request = known.request
    return {
        "place": request.place,
        "sha256": known.sha256.hex(),
        "asked_s": request.time_s,
        "kind": "peak" if request.is_peak else "surplus",
        "start_s": request.start_s,
        "end_s": request.end_s,
        "start": datetime.fromtimestamp(request.start_s, zone).isoformat(),
        "end": datetime.fromtimestamp(request.end_s, zone).isoformat(),
        "feeder": None if request.feeder is None else request.feeder.hex(),
        "feeder_name": None if request.feeder is None else feeders.get(request.feeder),
        "counts": known.counts,
    }
