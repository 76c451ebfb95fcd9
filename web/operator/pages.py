"""`/grid`: requests as they stand, what came, and announcing another, signed in the operator's browser.

The signed request goes through the same desk as over HTTP (aggregator/asking/desk.py): the aggregator's key says when
it came, so that no steward has to be awake. Where that key is not on this machine, nothing is announced here.
"""

import threading

from starlette.responses import JSONResponse, Response

from aggregator.asking import judging
from aggregator.asking.desk import NotTaken, RequestDesk
from aggregator.commune.directory import CommuneDirectory
from aggregator.earning.local_time import time_of
from aggregator.statements import requests
from aggregator.statements.statement import EVERYBODY, PEAK, SURPLUS, Statement
from commonwatt.clock import CivilClock
from commonwatt.errors import UserError
from commonwatt.i18n import _
from web.association.office import Office
from web.door import Page
from web.drafts import statements
from web.operator import came
from web.roles import Role, key_of
from web.spelling import unbase64
from web.visitor import Ask, Sorry

SEES = frozenset((Role.OPERATOR, Role.STEWARD, Role.TOWNHALL))
DOES = frozenset((Role.OPERATOR,))
OVER_MAX = 12
"""Requests that are over, of which is told what came."""


class GridPages:
    """Routes of this room. `grafana_url`: of web.toml, or ""."""

    def __init__(self, office: Office, wall: CivilClock, grafana_url: str) -> None:
        self._office, self._wall, self._grafana_url = office, wall, grafana_url
        self._lock = threading.Lock()
        self._desk: RequestDesk | None = None

    def pages(self) -> list[Page]:
        """Every address of the operator."""
        return [
            Page("grid", "/grid", SEES, get=self.grid),
            Page("announce", "/grid/announce", DOES, post=self.announce),
        ]

    def grid(self, ask: Ask) -> Response:
        """What stands, what came, and the form of another request."""
        names, places = self._office.names(), self._office.known.places()
        with self._office.books.now() as book:
            known = requests.of(self._office.said.stated(book.state))
            commune = came.commune_of(self._office, book.state, places)
        standing = [row for row in known if row.end_s > ask.now_s]
        over = [row for row in known if row.end_s <= ask.now_s][::-1][:OVER_MAX]
        told = came.read(self._office, commune, over)
        terms = self._office.policy().rules.shifting
        values = {
            "standing": standing,
            "counts": lambda row: judging.counts(row.time_s, row.start_s, terms),
            "over": [(row, told.get(row.place)) for row in over],
            "whom": lambda row: names.name_of(row.feeder) if row.feeder is not None else "",
            "feeders": [(row.id.hex(), row.name) for row in names.people("feeders")],
            "grafana_url": self._grafana_url,
            "notice_s": terms.notice_s if terms is not None else None,
            "may_announce": ask.visitor.role in DOES,
            "has_key": self._has_key(),
        }
        return self._office.looks.answer(ask, "operator/grid.html", lambda _words: values)

    def announce(self, ask: Ask) -> Response:
        """Give the request to be signed; the second time, take it: durable when it is answered."""
        association = bytes.fromhex(self._office.place.load().association)
        signed = statements.read_signed(ask, association)
        if signed is None:
            return JSONResponse(statements.to_state(self._request(ask), self._office.facts, post=ask.path))
        with self._office.books.now() as book:
            key = key_of(book.state, ask.visitor.subject) or b""
        statements.check(signed, key, self._office.facts.genesis)
        taken = self._requests().take(unbase64(ask.form["signed"]))
        if isinstance(taken, NotTaken):
            raise Sorry(judging.sentence(taken.refused), _("Choose another time, or others."))
        return JSONResponse({"next": "/grid"})

    def _request(self, ask: Ask) -> Statement:
        """What the form says, judged before anybody signs it."""
        zone = self._office.looks.zone  # the hours of the page on which they were written
        kind, feeder = ask.text("kind"), ask.text("feeder", is_needed=False)
        start_s, end_s = (time_of(ask.text(name, chars_max=30), zone, where="") for name in ("from", "to"))
        whom = _feeder(feeder)
        if kind not in (PEAK, SURPLUS):
            raise Sorry(_("It is not said whether less or more is to be used."), _("Choose one of the two."))
        try:
            statement = requests.request(start_s, end_s, kind, whom)
        except UserError as error:
            raise Sorry(judging.sentence(judging.Refused.NOT_A_REQUEST), _("Change the times.")) from error
        desk = self._requests()
        standing = [row.request for row in desk.known() if row.request.end_s > ask.now_s]
        found = judging.check(statement, standing, desk.feeders, ask.now_s)
        if found is not None:
            raise Sorry(judging.sentence(found[0]), _("Choose another time, or others."))
        return statement

    def _requests(self) -> RequestDesk:
        """Opened when it is first needed: it reads the log. UserError if the aggregator's key is not here."""
        with self._lock:
            if self._desk is None:
                self._desk = RequestDesk(self._office.directory, clock=self._wall)
            return self._desk

    def _has_key(self) -> bool:
        return CommuneDirectory(self._office.directory).key_file("aggregator").exists()


def _feeder(text: str) -> bytes | None:
    if not text:
        return None
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != len(EVERYBODY):
        raise Sorry(judging.sentence(judging.Refused.UNKNOWN_FEEDER), _("Choose one of the list."))
    return found
