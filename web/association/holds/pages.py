"""What waits, and one span with its two answers. Each is an entry that the steward's browser signs."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from aggregator.holds import reasons
from aggregator.holds.review import OVERHEAD
from aggregator.holds.waiting import ID_DIGITS, Waiting
from aggregator.reading import reading
from aggregator.settling import reviews
from commonwatt.i18n import _
from commonwatt.units import parse_credits
from ledger.book.body import Body, Hold, Release, SetStatus
from ledger.book.fields import REASON_BYTES_MAX
from ledger.book.kinds import Subject
from ledger.book.show import source_name
from ledger.book.state import State
from web.association.holds import picture
from web.association.holds.picture import Around
from web.association.office import Office
from web.association.people.pages import id_of, reason_of
from web.door import Page
from web.drafts.turns import in_turn
from web.looks import Words
from web.roles import Role
from web.visitor import Ask, Sorry

SEES = frozenset((Role.STEWARD, Role.TOWNHALL))
DOES = frozenset((Role.STEWARD,))


class HoldPages:
    """Routes of this room."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def pages(self) -> list[Page]:
        """Every address about what waits."""
        return [
            Page("holds", "/holds", SEES, get=self.holds),
            Page("hold", "/holds/{hold}", SEES, get=self.hold),
            Page("hold-review", "/holds/{hold}/review", DOES, post=self.review),
            Page("hold-end", "/holds/{stopped}/end", DOES, post=self.end),
        ]

    def holds(self, ask: Ask) -> Response:
        """Every span that waits, and every claim that a hold in the ledger stops."""
        names = self._office.names()
        with self._office.books.now() as book:
            spans = self._office.held(book.state)
            stopped = _stopped(book.state)

        def make(_words: Words) -> dict[str, Any]:
            rows = [(hold, names.name_of(body.account), source_name(body.source), body) for hold, body in stopped]
            return {
                "spans": sorted(spans, key=lambda span: (bool(span.verdict), span.since_s, span.id)),
                "why": lambda span: reasons.why(span.reason),
                "stopped": rows,
                "may_act": ask.visitor.role in DOES,
            }

        return self._office.looks.answer(ask, "association/holds.html", make)

    def hold(self, ask: Ask) -> Response:
        """One span: what was found, what it was held against, a picture, and the two answers."""
        with self._office.books.now() as book:
            span, devices = self._span(ask, book.state), list(book.state.admissions.devices())
        holder = next(row.account for row in devices if row.device == span.device)
        days_s = picture.days_of(span, self._office.looks.zone)
        sky = reasons.sky_of(self._office.directory, span, database_url=self._office.database_url)
        with reading(self._office.directory, self._office.database_url) as connection:
            around = picture.read(connection, span, devices, days_s, reasons.most_wh(sky, *days_s) if sky else ())

        def make(words: Words) -> dict[str, Any]:
            found, *against, usually = reasons.explain(
                self._office.directory, span, database_url=self._office.database_url
            )
            return {
                "span": span,
                "holder": holder,
                "found": found,
                "against": against,
                "usually": usually,
                "may_act": ask.visitor.role in DOES,
                **self._picture(around, span, words),
            }

        return self._office.looks.answer(ask, "association/hold.html", make)

    def review(self, ask: Ask) -> Response:
        """Release, as it is or with another figure, or reject."""
        is_granted = ask.text("verdict") == reviews.RELEASE
        reason, energy_wh = reason_of(ask, bytes_max=REASON_BYTES_MAX - OVERHEAD), _energy_wh(ask)

        def to_do() -> list[Body]:
            with self._office.books.now() as book:
                span = self._span(ask, book.state)
                row = book.state.admissions.by_id[span.device]
            text = reviews.text_of(
                span.start_s, is_granted=is_granted, reason=reason, energy_wh=energy_wh if is_granted else None
            )
            return [] if span.verdict else [SetStatus(Subject.DEVICE, span.device, row.status, text)]

        return in_turn(ask, self._office.books, self._office.facts, to_do, then="/holds")

    def end(self, ask: Ask) -> Response:
        """End a hold of the ledger: the claim may be minted, or never may."""
        hold, reason = id_of(ask.part("stopped")), reason_of(ask)
        is_granted = ask.text("verdict") == reviews.RELEASE

        def to_do() -> list[Body]:
            with self._office.books.now() as book:
                is_open = hold in dict(_stopped(book.state))
            return [Release(hold, is_granted, reason)] if is_open else []

        return in_turn(ask, self._office.books, self._office.facts, to_do, then="/holds")

    def _span(self, ask: Ask, state: State) -> Waiting:
        device, _at, start = ask.part("hold").partition("@")
        found = [
            row
            for row in self._office.held(state)
            if row.device.hex().startswith(device) and str(row.start_s) == start
        ]
        if len(device) < ID_DIGITS or len(found) != 1:
            raise HTTPException(404)
        return found[0]

    def _picture(self, around: Around, span: Waiting, words: Words) -> dict[str, Any]:
        is_known = any(wh is not None for wh in around.own_wh)
        drawn = picture.draw(around, span, words, self._office.looks.zone) if is_known else None
        return {"picture": drawn, "others": around.others, "has_sky": bool(around.most_wh)}


def _stopped(state: State) -> list[tuple[bytes, Hold]]:
    """Holds of the ledger that nobody ended, by their entry's id."""
    claims = state.claims
    return [(hold, body) for hold, body in sorted(claims.holds.items()) if hold not in claims.refused]


def _energy_wh(ask: Ask) -> int | None:
    """The corrected figure, written in kWh; None: what was held."""
    text = ask.text("kwh", chars_max=20, is_needed=False)
    if not text:
        return None
    try:
        return parse_credits(text.replace(" ", ""))
    except ValueError as error:
        raise Sorry(
            _("This is no energy: {text}.").format(text=text),
            _("Write kilowatt-hours with at most three decimals, for example 1.25."),
        ) from error
