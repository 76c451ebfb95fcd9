"""Payment requests between members, as entries of the ledger: who asks whom, and what each side may answer."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from commonwatt.i18n import _
from commonwatt.identity import new_id
from ledger.book.body import PaymentAnswer, PaymentRequest
from ledger.book.entry import Entry
from ledger.book.payments import Verdict
from ledger.book.state import OpenRequest, State
from ledger.book.units import account_in, holder_of, unit_of
from web.book.books import Books
from web.door import Page
from web.drafts.signing import to_sign
from web.facts import Facts
from web.looks import Looks, Words
from web.names import Names
from web.pay.choice import PeopleToChoose
from web.pay.fields import Values, amount_of, identifier, memo_of, unit_of_form
from web.roles import MEMBERS
from web.store.file import WebStore
from web.units import spoken
from web.visitor import Ask, Sorry


@dataclass(frozen=True, slots=True)
class Side:
    """An open request from somebody's side. `verdicts`: what they may answer, what is most wanted first."""

    id: bytes
    request: PaymentRequest
    is_payer: bool
    is_accepted: bool

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """In the order of the buttons."""
        if not self.is_payer:
            return (Verdict.WITHDRAW,)
        return (Verdict.SETTLE,) if self.is_accepted else (Verdict.ACCEPT, Verdict.DECLINE)


def open_requests(state: State, holder: bytes) -> list[Side]:
    """The open requests of a holder, those that wait for them first."""
    sides = [side for row in state.requests.items() if (side := _side(*row, holder)) is not None]
    return sorted(sides, key=lambda side: not side.is_payer)


def asked_of(state: State, holder: bytes) -> int:
    """How many requests wait for an answer of somebody."""
    return sum(side.is_payer for side in open_requests(state, holder))


def _side(entry_id: bytes, row: OpenRequest, holder: bytes) -> Side | None:
    asked = row.request
    if holder not in (holder_of(asked.payer), holder_of(asked.payee)):
        return None
    return Side(entry_id, asked, holder_of(asked.payer) == holder, row.is_accepted)


class RequestPages:
    """Routes of payment requests."""

    def __init__(self, store: WebStore, books: Books, looks: Looks, facts: Facts, names: Names) -> None:
        self._books, self._looks, self._facts, self._names = books, looks, facts, names
        self._people = PeopleToChoose(store, books, names)

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("requests", "/requests", MEMBERS, get=self.list, post=self.ask),
            Page("request-answer", "/requests/{request}", MEMBERS, post=self.answer),
        ]

    def list(self, ask: Ask) -> Response:
        """What waits for an answer, what one has asked for, and a form to ask."""
        with self._books.now() as book:
            sides, units = open_requests(book.state, ask.visitor.subject), spoken(book.state)
        people = self._people.of(ask).everybody
        return self._looks.answer(
            ask,
            "requests.html",
            lambda words: {
                "rows": [self._row(ask, side, words, units[unit_of(side.request.payer)]) for side in sides],
                "people": people,
                "units": units,
            },
        )

    def ask(self, ask: Ask) -> Response:
        """The entry of a request, to be signed by who asks."""
        me, them = ask.visitor.subject, identifier(ask.text("payer"))
        with self._books.now() as book:
            unit = unit_of_form(ask.form.get("unit", ""), spoken(book.state))
        if me == them:
            raise Sorry(_("You cannot pay yourself."), _("Choose somebody else."))
        is_escrow = ask.form.get("escrow") == "yes"
        amount_mc = amount_of(ask.text("amount", chars_max=40))
        body = PaymentRequest(account_in(me, unit), account_in(them, unit), amount_mc, is_escrow, memo_of(ask))
        return JSONResponse(to_sign(Entry(new_id(), ask.now_s, body), self._facts))

    def answer(self, ask: Ask) -> Response:
        """The entry of an answer, to be signed by whose answer it is."""
        request = identifier(ask.part("request"))
        with self._books.now() as book:
            found = next((row for row in open_requests(book.state, ask.visitor.subject) if row.id == request), None)
        if found is None:
            raise Sorry(_("This was answered already, or is not there any more."), _("Load the page again."))
        verdicts = {verdict.name.lower(): verdict for verdict in found.verdicts}
        if (verdict := verdicts.get(ask.text("verdict"))) is None:
            raise HTTPException(404)
        return JSONResponse(to_sign(Entry(new_id(), ask.now_s, PaymentAnswer(request, verdict)), self._facts))

    def _row(self, ask: Ask, side: Side, words: Words, unit: str) -> Values:
        asked = side.request
        amount = words.amount(asked.amount_mc, unit)
        if side.is_payer:
            other = self._names.of(holder_of(asked.payee))  # who asks for something says who they are
        else:
            other = self._people.name_of(ask, holder_of(asked.payer))
        return {
            "id": side.id.hex(),
            "says": _says(side, other, amount),
            "memo": asked.memo,
            "note": _note(side),
            "buttons": [_button(verdict, asked.is_escrow, amount, other) for verdict in side.verdicts],
        }


def _says(side: Side, other: str, amount: str) -> str:
    if not side.is_payer:
        return _("You have asked {name} for {amount}.").format(name=other, amount=amount)
    if side.is_accepted:
        return _("You have put {amount} aside for {name}.").format(name=other, amount=amount)
    return _("{name} asks you for {amount}.").format(name=other, amount=amount)


def _note(side: Side) -> str:
    if side.is_accepted and side.is_payer:
        return _("Pay it when you have got what it is for. Until then only they can let it go back to you.")
    if side.is_accepted:
        return _("They have put it aside, and pay it when they have got what it is for.")
    if side.request.is_escrow:
        return _("It is put aside first, and paid when what it is for was delivered.")
    return ""


def _button(verdict: Verdict, is_escrow: bool, amount: str, name: str) -> Values:
    """The label of an answer, and the question before it where it cannot be taken back."""
    match verdict:
        case Verdict.ACCEPT if is_escrow:
            text, question = _("Put it aside"), _("Put {amount} aside for {name}?").format(amount=amount, name=name)
        case Verdict.ACCEPT | Verdict.SETTLE:
            text, question = _("Pay it"), _("Pay {amount} to {name}?").format(amount=amount, name=name)
        case Verdict.DECLINE:
            text, question = _("Decline"), _("Decline to pay {amount} to {name}?").format(amount=amount, name=name)
        case Verdict.WITHDRAW:
            text, question = _("Withdraw"), _("Ask {name} for {amount} no more?").format(amount=amount, name=name)
    is_main = verdict in (Verdict.ACCEPT, Verdict.SETTLE)
    return {"verdict": verdict.name.lower(), "text": text, "question": question, "is_main": is_main}
