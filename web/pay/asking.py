"""Being paid: /ask makes a code, /p/CODE is where it leads."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from commonwatt.i18n import _
from ledger.book.units import account_in, holder_of, unit_of
from web import phrases, qr
from web.address import Address
from web.allowance import Allowance
from web.book.books import Books
from web.door import Page
from web.facts import Facts
from web.looks import Looks, Words
from web.names import Names
from web.pay import codes, known, purse
from web.pay.codes import Code, Lasts, Standing
from web.pay.fields import Values, amount_of, code_of, memo_of, number_in, numbered, query, unit_of_form
from web.pay.form import PaymentForm, has
from web.pay.purse import Payment
from web.pay.spelling import show_code
from web.roles import EVERYBODY, MEMBERS, Role
from web.store.file import WebStore
from web.units import spoken
from web.visitor import Ask, Sorry

CODES_SHOWN = 20
CODES_PER_DAY = 2000
"""A stall on market day makes one for each sale."""


@dataclass(frozen=True, slots=True)
class Found:
    """A code and what it is now. `paid`: by what."""

    code: Code
    standing: Standing
    paid: Payment | None


class AskPages:
    """Routes of being paid."""

    def __init__(
        self, store: WebStore, books: Books, looks: Looks, facts: Facts, names: Names, *, address: Address
    ) -> None:
        self._store, self._books, self._looks, self._names, self._address = store, books, looks, names, address
        self._form = PaymentForm(books, facts, names)
        self._allowance = Allowance(CODES_PER_DAY)

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("ask", "/ask", MEMBERS, get=self.ask, post=self.make),
            Page("ask-found", "/ask/found", MEMBERS, post=self.be_found),
            Page("asked", "/ask/{code}", MEMBERS, get=self.asked),
            Page("ask-end", "/ask/{code}/end", MEMBERS, post=self.end),
            Page("code", "/p", EVERYBODY, get=self.typed),
            Page("pay-code", "/p/{code}", EVERYBODY, get=self.show),
            Page("code-state", "/p/{code}/state", EVERYBODY, get=self.state),
        ]

    def ask(self, ask: Ask) -> Response:
        """How much, for what; and the codes that are open."""
        holder = ask.visitor.subject
        with self._books.now() as book:
            units, theirs = spoken(book.state), purse.accounts_of(book.state, holder)
        with self._store.transaction() as connection:
            mine = codes.of_account(connection, theirs, limit=CODES_SHOWN)
            is_found = holder in known.may_be_found(connection)
        found = [self._look(code, ask.now_s) for code in mine]
        return self._looks.answer(
            ask,
            "ask.html",
            lambda words: {
                "units": units,
                "lasts": _lasts(),
                "rows": [self._row(row, words) for row in found if row.standing is Standing.OPEN],
                "is_found": is_found,
                "is_shop": ask.visitor.role is Role.MERCHANT,
            },
        )

    def make(self, ask: Ask) -> Response:
        """A new code; a module (the till) gets it as JSON, with its picture."""
        amount = ask.text("amount", chars_max=40, is_needed=False)
        lasts = ask.text("lasts", is_needed=False) or Lasts.DAY
        if lasts not in list(Lasts):
            raise Sorry(_("This is no time that a code can last."), _("Choose one of the list."))
        with self._books.now() as book:
            units = spoken(book.state)
        account = account_in(ask.visitor.subject, unit_of_form(ask.form.get("unit", ""), units))
        amount_mc, memo = amount_of(amount) if amount else None, memo_of(ask)
        self._allowance.take(ask)
        with self._store.transaction() as connection:
            made = codes.make(
                connection, account=account, amount_mc=amount_mc, memo=memo, lasts=Lasts(lasts), now_s=ask.now_s
            )
        if not ask.wants_json:
            return RedirectResponse(f"/ask/{made.text}", 303)
        address = self._address_of(ask, made.text)
        told = {"code": made.text, "shown": show_code(made.text), "address": address, "qr": str(qr.svg(address))}
        return JSONResponse(told)

    def be_found(self, ask: Ask) -> Response:
        """Whether neighbours find somebody by name."""
        agrees = ask.form.get("agrees") == "yes"
        with self._store.transaction() as connection:
            known.agree_to_be_found(connection, ask.visitor.subject, agrees=agrees, now_s=ask.now_s)
        return RedirectResponse("/ask", 303)

    def asked(self, ask: Ask) -> Response:
        """The code to be shown, until it is paid."""
        found = self._of(ask)
        if holder_of(found.code.account) != ask.visitor.subject:
            return RedirectResponse(f"/p/{found.code.text}", 303)
        address = self._address_of(ask, found.code.text)
        return self._looks.answer(
            ask,
            "asked.html",
            lambda words: {**self._row(found, words), "address": address, "qr": qr.svg(address)},
        )

    def end(self, ask: Ask) -> Response:
        """Nobody pays by it any more."""
        found = self._of(ask)
        if holder_of(found.code.account) != ask.visitor.subject:
            raise HTTPException(403)
        with self._store.transaction() as connection:
            codes.end(connection, found.code.text)
        if ask.wants_json:
            return JSONResponse({})
        return RedirectResponse("/ask", 303)

    def typed(self, ask: Ask) -> Response:
        """A code that was typed in leads where its picture leads."""
        return RedirectResponse(f"/p/{code_of(query(ask, 'code'))}", 303)

    def show(self, ask: Ask) -> Response:
        """Who asks, for what, how much; and for members the button to pay it."""
        found = self._of(ask)
        code = found.code
        is_own = holder_of(code.account) == _subject(ask)
        can_pay = ask.visitor.role in MEMBERS and not is_own and found.standing is Standing.OPEN
        payment = code.payment or number_in(ask)
        if can_pay and payment is None:
            return numbered(ask)
        form = None
        if can_pay and payment is not None:
            with self._books.now() as book:
                is_there = purse.payment_with(book, payment) is not None
            if is_there:
                return RedirectResponse(f"/paid/{payment.hex()}", 303)
            self._note_shown(ask, code)
            form = self._form.of_code(ask, code, payment)

        def values(words: Words) -> Values:
            told = self._row(found, words)
            left = "" if form is None else has(words, form["free_mc"], form["unit"])
            is_payers = found.paid is not None and holder_of(found.paid.payer) == _subject(ask)
            mine = {"is_own": is_own, "is_payers": is_payers, "is_member": ask.visitor.role in MEMBERS}
            return {
                **told,
                **mine,
                "form": form and phrases.as_script(form),
                "purse": left,
                "unit": form and form["unit"],
            }

        return self._looks.answer(ask, "code.html", values)

    def state(self, ask: Ask) -> Response:
        """What pages that wait for a payment look at."""
        found = self._of(ask)
        told: Values = {"standing": found.standing.value, "shown": found.code.shown_s is not None}
        if holder_of(found.code.account) == _subject(ask):
            told |= {"short": found.code.is_short, "place": found.paid.place if found.paid else None}
            told["payer"] = self._names.of(holder_of(found.paid.payer)) if found.paid else ""
            told["payment"] = found.paid.id.hex() if found.paid else ""
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    def _address_of(self, ask: Ask, text: str) -> str:
        """What the picture of a code says: an address that a phone's own camera opens."""
        return f"{self._address.url(ask.request)}/p/{text}"

    def _of(self, ask: Ask) -> Found:
        """The code of an address. Sorry if there is none, or it was mistyped."""
        text = code_of(ask.part("code"))
        with self._store.transaction() as connection:
            found = codes.find(connection, text)
        if found is None:
            raise Sorry(
                _("Nobody asks for anything by this code."),
                _("It may be long over, or somebody made it up. Ask for a new one."),
            )
        return self._look(found, ask.now_s)

    def _look(self, code: Code, now_s: int) -> Found:
        if code.payment is None:
            return Found(code, codes.standing(code, None, is_taken=False, now_s=now_s), None)
        with self._books.now() as book:
            is_taken = book.index.place_of(code.payment) is not None
            transfer = purse.transfer_of(book, code.payment) if is_taken else None
            standing = codes.standing(code, transfer, is_taken=is_taken, now_s=now_s)
            # Of a payment that is another than what was asked for nobody is told here.
            paid = purse.payment_with(book, code.payment) if standing is Standing.PAID else None
        return Found(code, standing, paid)

    def _note_shown(self, ask: Ask, code: Code) -> None:
        with self._books.now() as book:
            mine = purse.purse_of(book.state, account_in(ask.visitor.subject, unit_of(code.account)))
        is_short = code.amount_mc is not None and not mine.can_pay(code.amount_mc)
        if code.shown_s is None or is_short != code.is_short:
            with self._store.transaction() as connection:
                codes.note_shown(connection, code.text, now_s=ask.now_s, is_short=is_short)

    def _row(self, found: Found, words: Words) -> Values:
        """What templates tell of a code."""
        code, paid = found.code, found.paid
        with self._books.now() as book:
            unit = spoken(book.state)[unit_of(code.account)]
        amount_mc = paid.amount_mc if paid else code.amount_mc
        return {
            "code": code,
            "shown": show_code(code.text),
            "standing": found.standing,
            "amount": None if amount_mc is None else words.amount(amount_mc, unit),
            "payee": self._names.of(holder_of(code.account)),
            "payer": self._names.of(holder_of(paid.payer)) if paid else "",
            "paid": paid,
            "until": None if code.expires_s is None else words.moment(code.expires_s),
        }


def _subject(ask: Ask) -> bytes | None:
    return None if ask.visitor.login is None else ask.visitor.subject


def _lasts() -> dict[Lasts, str]:
    return {
        Lasts.HOUR: _("an hour"),
        Lasts.DAY: _("a day"),
        Lasts.WEEK: _("a week"),
        Lasts.MONTH: _("30 days"),
        Lasts.ALWAYS: _("until I end it, paid many times (to print for a shop or a stall)"),
    }
