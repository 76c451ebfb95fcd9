"""Undoing a payment, and correcting what was settled of a meter: the effect is shown before anything is signed."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from aggregator.corrections import making, minted
from aggregator.earning.local_time import time_of
from aggregator.reading import NothingMeasuredError, reading
from aggregator.statements import corrections, papers
from aggregator.statements.statement import Statement, Topic
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import new_id
from commonwatt.units import parse_credits
from ledger.book.admissions import DeviceAccount
from ledger.book.body import Reverse
from ledger.book.entry import Entry
from ledger.book.state import State
from web.association.corrections import payments
from web.association.corrections.payments import Payment
from web.association.office import Office, role_name
from web.association.people.pages import id_of, reason_of, see
from web.book.followed import FollowedBook
from web.door import Page
from web.drafts import desk, statements
from web.drafts.turns import in_turn
from web.looks import Words
from web.roles import OFFICES, Role, key_of, role_of
from web.spelling import unbase64
from web.visitor import Ask, Sorry

TEXT_MAX = 1000


class CorrectionPages:
    """Routes of this room."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def pages(self) -> list[Page]:
        """Every address of taking back."""
        return [
            Page("corrections", "/corrections", OFFICES, get=self.corrections),
            Page("reversal", "/corrections/payment", OFFICES, get=self.payment, post=self.undo),
            Page("correction", "/corrections/meter", OFFICES, get=self.measure, post=self.correct),
            Page("correction-confirm", "/corrections/{correction}/confirm", OFFICES, post=self.confirm),
        ]

    def corrections(self, ask: Ask) -> Response:
        """What waits for another office, what was taken back, and the two ways to begin."""
        names = self._office.names()
        with self._office.books.now() as book:
            stated, _carried = self._office.stated(book.state)
            needed = self._needed(book.state)
            own = role_of(book.state, ask.visitor.subject).value
        try:
            with reading(self._office.directory, self._office.database_url) as connection:
                done = minted.carried(connection)
        except NothingMeasuredError:
            done = {}

        def row(said: Statement, signed: tuple[str, ...]) -> dict[str, Any]:
            kept = papers.read(self._office.directory, said.digest)
            return {
                "name": making.name_of(said.digest),
                "said": said,
                "meter": names.name_of(said.subject),
                "reason": kept.text if kept is not None else "",
                "signed": [role_name(role) for role in signed],
                "may_sign": own not in signed and kept is not None,
            }

        def make(_words: Words) -> dict[str, Any]:
            waiting = [row(said, roles) for said, roles in corrections.waiting(stated, needed).items()]
            agreed = [
                {
                    "meter": names.name_of(each.device),
                    "said": each,
                    "carried": done.get(each.place),
                    "reason": kept.text if (kept := papers.read(self._office.directory, each.digest)) else "",
                }
                for each in corrections.agreed(stated, needed)
            ]
            return {"waiting": waiting, "agreed": agreed[::-1], "needed": needed}

        return self._office.looks.answer(ask, "association/corrections.html", make)

    def payment(self, ask: Ask) -> Response:
        """A payment by its place in the log or its id, and what undoing it would do."""
        place, identifier = (ask.request.query_params.get(name, "").strip() for name in ("place", "id"))
        with self._office.books.now() as book:
            found = self._payment(book, place, identifier) if place or identifier else None
        names, is_operator = self._office.names(), ask.visitor.role is Role.OPERATOR

        def name_of(account: bytes) -> str:
            return account.hex()[:8] if is_operator else names.name_of(account)

        values = {"payment": found, "place": place, "is_asked": bool(place or identifier), "name_of": name_of}
        return self._office.looks.answer(ask, "association/payment.html", lambda _words: values)

    def undo(self, ask: Ask) -> Response:
        """Lay the reversal on the desks; two offices sign it there."""
        reason = reason_of(ask)
        with self._office.books.now() as book:
            found = self._payment(book, ask.text("place", chars_max=20), "")
        if found is None:
            raise Sorry(_("There is no payment at this place that could be undone."), _("Look for it again."))
        amount_mc = _amount_mc(ask)
        if not 0 < amount_mc <= found.left_mc or (found.is_whole and amount_mc != found.amount_mc):
            raise Sorry(
                _("This much cannot be undone."), _("Write an amount of at most what is left of it, or all of it.")
            )
        entry = Entry(new_id(), ask.now_s, Reverse(found.id, amount_mc, reason))
        assert ask.visitor.login is not None
        by = ask.visitor.login.id
        with self._office.store.transaction() as connection:
            if all(draft.entry.body != entry.body for draft in desk.waiting(connection)):
                about = found.payer
                desk.propose(connection, entry, purpose="reverse", about=about, proposed_by=by, now_s=ask.now_s)
        return see("/desk")

    def measure(self, ask: Ask) -> Response:
        """The form of a correction; with its fields filled in, what it would take back."""
        asked = {name: ask.request.query_params.get(name, "")[:80] for name in ("meter", "from", "to", "kwh")}
        problem, effect = "", None
        if asked["meter"]:
            try:
                with self._office.books.now() as book:
                    device, statement = self._correction(book.state, asked, bytes(32))
                effect = making.effect(
                    *(self._office.directory, device, statement.start_s, statement.end_s, statement.number),
                    database_url=self._office.database_url,
                )
            except UserError as error:
                problem = error.what
        meters = sorted(row.name for row in self._office.names().people("devices"))
        values = {"asked": asked, "effect": effect, "problem": problem, "meters": meters}
        return self._office.looks.answer(ask, "association/correction.html", lambda _words: values)

    def correct(self, ask: Ask) -> Response:
        """Keep the reason and give the correction to be signed; the second time, take the signature."""
        about = bytes.fromhex(self._office.place.load().association)
        signed = statements.read_signed(ask, about)
        if signed is None and ask.form.get("signed"):
            return self._carry(ask)
        with self._office.books.now() as book:
            asked = {name: ask.text(name, chars_max=80) for name in ("meter", "from", "to", "kwh")}
            device, drafted = self._correction(book.state, asked, bytes(32))
        if signed is None:
            making.effect(
                *(self._office.directory, device, drafted.start_s, drafted.end_s, drafted.number),
                database_url=self._office.database_url,
            )
            digest = papers.keep_data(self._office.directory, self._reason(ask), {})
            statement = corrections.correction(device.device, drafted.start_s, drafted.end_s, drafted.number, digest)
            return JSONResponse(statements.to_state(statement, self._office.facts, post=ask.path))
        said = signed.statement
        is_it = (said.topic, said.subject, said.start_s, said.end_s, said.number) == (
            *(Topic.CORRECTION, device.device, drafted.start_s),
            *(drafted.end_s, drafted.number),
        )
        if not is_it or papers.read(self._office.directory, said.digest) is None:
            raise Sorry(_("This is not what was to be signed."), _("Load the page again and repeat it."))
        return self._keep(ask, about)

    def confirm(self, ask: Ask) -> Response:
        """A further office's signature under a correction that waits."""
        about = bytes.fromhex(self._office.place.load().association)
        signed = statements.read_signed(ask, about)
        if signed is None and ask.form.get("signed"):
            return self._carry(ask)
        with self._office.books.now() as book:
            stated, _carried = self._office.stated(book.state)
            waiting = corrections.waiting(stated, self._needed(book.state))
            own = role_of(book.state, ask.visitor.subject).value
        found = next((said for said in waiting if making.name_of(said.digest) == ask.part("correction")), None)
        if found is None:
            raise HTTPException(404)
        if own in waiting[found]:
            raise Sorry(_("Your office has signed it before."), _("Another one has to confirm it."))
        if papers.read(self._office.directory, found.digest) is None:
            raise Sorry(_("its papers are missing or were changed"), _("Make the correction anew."))
        if signed is None:
            return JSONResponse(statements.to_state(found, self._office.facts, post=ask.path))
        if signed.statement != found:
            raise Sorry(_("This is not what was to be signed."), _("Load the page again and repeat it."))
        return self._keep(ask, about)

    def _keep(self, ask: Ask, about: bytes) -> Response:
        """Take a signed correction; a steward's browser goes on with the entry around it."""
        with self._office.books.now() as book:
            key = key_of(book.state, ask.visitor.subject) or b""
        signed = statements.read_signed(ask, about)
        assert signed is not None
        statements.check(signed, key, self._office.facts.genesis)
        with self._office.store.transaction() as connection:
            statements.put(connection, unbase64(ask.form["signed"]), about, now_s=ask.now_s)
        return self._carry(ask.without("signed"))

    def _carry(self, ask: Ask) -> Response:
        if ask.visitor.role is not Role.STEWARD:
            return JSONResponse({"next": "/corrections"})
        return in_turn(ask, self._office.books, self._office.facts, self._office.to_carry, then="/corrections")

    def _payment(self, book: FollowedBook, place: str, identifier: str) -> Payment | None:
        at = int(place) if place.isascii() and place.isdigit() and len(place) < 16 else None
        if identifier:
            at = book.index.place_of(id_of(identifier))
        if at is None or at >= book.size:
            return None
        return payments.read(book.state, at, book.entry(at))

    def _correction(self, state: State, asked: dict[str, str], digest: bytes) -> tuple[DeviceAccount, Statement]:
        person = self._office.names().find("devices", asked["meter"])
        wanted = person.id.hex() if person is not None else asked["meter"].lower()
        device = next((row for row in state.admissions.devices() if row.device.hex() == wanted), None)
        if device is None:
            raise Sorry(_("There is no such meter."), _("Write its name, or its id."))
        zone = self._office.looks.zone
        span_s = (time_of(asked["from"], zone, where=""), time_of(asked["to"], zone, where=""))
        try:
            energy_wh = parse_credits(asked["kwh"])
        except ValueError as error:
            raise Sorry(
                _("This is no energy: {text}.").format(text=asked["kwh"]),
                _("Write kilowatt-hours with at most three decimals, for example 1.25."),
            ) from error
        return device, corrections.correction(device.device, *span_s, energy_wh, digest)

    def _needed(self, state: State) -> int:
        quorum = state.founded.genesis.quorum(Reverse.kind)
        return 0 if quorum is None else quorum.k

    def _reason(self, ask: Ask) -> str:
        text = " ".join(ask.form.get("reason", "").split())
        if not text or len(text) > TEXT_MAX or not text.isprintable():
            raise Sorry(
                _("It is not said what was found."), _("Say it in at most {count} letters.").format(count=TEXT_MAX)
            )
        return text


def _amount_mc(ask: Ask) -> int:
    text = ask.text("amount", chars_max=20).replace(" ", "")
    try:
        return parse_credits(text)
    except ValueError as error:
        raise Sorry(
            _("This is no amount: {text}.").format(text=text), _("Write credits, for example 12.50.")
        ) from error
