"""Paying: whom, how much, signed in the browser; and what came of it."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from commonwatt.i18n import _
from commonwatt.registry import Status
from ledger.book.units import account_in, holder_of, unit_of
from web import phrases
from web.book.books import Books
from web.door import Page
from web.facts import Facts
from web.looks import Looks, Words
from web.names import Names
from web.pay import codes, known, purse
from web.pay.choice import PeopleToChoose
from web.pay.fields import MEMO_CHARS_MAX, Values, identifier, number_in, numbered, query, unit_of_form
from web.pay.form import PaymentForm, has
from web.roles import EVERYBODY, MEMBERS
from web.store.file import WebStore
from web.units import spoken
from web.visitor import Ask, Sorry

NAME_CHARS_MAX = 60


class PayPages:
    """Routes of paying."""

    def __init__(self, store: WebStore, books: Books, looks: Looks, facts: Facts, names: Names) -> None:
        self._store, self._books, self._looks, self._names = store, books, looks, names
        self._form, self._people = PaymentForm(books, facts, names), PeopleToChoose(store, books, names)

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("pay", "/pay", MEMBERS, get=self.pay),
            Page("pay-offline", "/pay/offline", MEMBERS, get=self.offline),
            Page("pay-to", "/pay/{payee}", MEMBERS, get=self.pay_to),
            Page("paid", "/paid/{payment}", MEMBERS, get=self.paid),
            Page("favourites", "/favourites", MEMBERS, get=self.favourites, post=self.keep),
            Page("favourite-remove", "/favourites/remove", MEMBERS, post=self.remove),
            Page("clock", "/clock", EVERYBODY, get=self.clock),
        ]

    def pay(self, ask: Ask) -> Response:
        """By a code, or to somebody: favourites, those paid last, shops, and members who agreed to be found."""
        wanted = query(ask, "q")
        choice, found = self._people.of(ask), self._people.search(ask, wanted)
        return self._looks.answer(
            ask, "pay.html", lambda _words: {"choice": choice, "wanted": wanted, "found": found}
        )

    def offline(self, ask: Ask) -> Response:
        """The same and the form in one page, which the service worker keeps for when there is no connection."""
        people = self._people.of(ask).everybody
        form = {**self._form.without_payee(ask), "people": people}
        return self._looks.answer(
            ask,
            "pay_offline.html",
            lambda words: {
                "form": phrases.as_script(form),
                "people": people,
                "purse": has(words, form["free_mc"], form["unit"]),
            },
        )

    def pay_to(self, ask: Ask) -> Response:
        """The form of a payment to somebody who was chosen."""
        holder = identifier(ask.part("payee"))
        if holder == ask.visitor.subject:
            raise Sorry(_("You cannot pay yourself."), _("Choose somebody else."))
        with self._books.now() as book:
            units = spoken(book.state)
            found = book.state.admissions.account(holder)
        if found is None:
            raise HTTPException(404)
        if found[1] is Status.REVOKED:
            raise Sorry(_("This account is closed."), _("Ask the association."))
        refunded = self._refunded(ask, holder)
        payment = number_in(ask) if refunded is None else codes.payment_of("refund", refunded.id)
        if payment is None:
            return numbered(ask)
        with self._books.now() as book:
            is_there = purse.payment_with(book, payment) is not None
        if is_there:
            return RedirectResponse(f"/paid/{payment.hex()}", 303)
        unit = unit_of_form(query(ask, "unit"), units) if refunded is None else unit_of(refunded.payer)
        form = self._form.of_payee(ask, holder, unit, payment) | {"payee": self._people.name_of(ask, holder)}
        if refunded is not None:
            memo = _("Paid back: {memo}").format(memo=refunded.memo)
            form |= {"amount_mc": refunded.amount_mc, "memo": memo[:MEMO_CHARS_MAX]}
        return self._looks.answer(
            ask,
            "payment.html",
            lambda words: {
                "form": phrases.as_script(form),
                "payee": form["payee"],
                "amount": None if refunded is None else words.amount(refunded.amount_mc, form["unit"]),
                "memo": form["memo"],
                "units": units if refunded is None else {},
                "unit": unit,
                "purse": has(words, form["free_mc"], form["unit"]),
            },
        )

    def paid(self, ask: Ask) -> Response:
        """What came of a payment: for who made it and who got it."""
        payment = identifier(ask.part("payment"))
        with self._books.now() as book:
            found = purse.payment_with(book, payment)
            if found is None or ask.visitor.subject not in (holder_of(found.payer), holder_of(found.payee)):
                raise HTTPException(404)
            unit = spoken(book.state)[unit_of(found.payer)]
            mine = purse.purse_of(book.state, account_in(ask.visitor.subject, unit_of(found.payer)))
        is_mine = holder_of(found.payer) == ask.visitor.subject
        other = holder_of(found.payee if is_mine else found.payer)
        with self._store.transaction() as connection:
            kept = {row.holder for row in known.favourites(connection, ask.visitor.subject)}

        def values(words: Words) -> Values:
            return {
                "payment": found,
                "is_mine": is_mine,
                "other": self._names.of(other),
                "account": other.hex(),
                "is_kept": other in kept,
                "amount": words.amount(found.amount_mc, unit),
                "when": words.moment(found.time_s),
                "left": has(words, mine.free_mc, unit),
                "is_past": is_mine and mine.is_past_soft_limit,
                "has_movement": "/movement/{place}" in self._looks.paths,
            }

        return self._looks.answer(ask, "paid.html", values)

    def favourites(self, ask: Ask) -> Response:
        """Whom one pays again, under names of one's own."""
        kept = self._people.kept(ask)
        return self._looks.answer(ask, "favourites.html", lambda _words: {"rows": kept})

    def keep(self, ask: Ask) -> Response:
        """A favourite is added, or called otherwise."""
        holder = identifier(ask.text("account"))
        with self._books.now() as book:
            found = book.state.admissions.account(holder)
        if found is None or holder == ask.visitor.subject:
            raise Sorry(_("This account is not there."), _("Choose somebody else."))
        name = ask.text("name", chars_max=NAME_CHARS_MAX, is_needed=False) or self._people.name_of(ask, holder)
        with self._store.transaction() as connection:
            is_kept = known.put(connection, ask.visitor.subject, known.Favourite(holder, name))
        if not is_kept:
            raise Sorry(_("You have as many favourites as there can be."), _("Remove one first."))
        return RedirectResponse("/favourites", 303)

    def remove(self, ask: Ask) -> Response:
        """A favourite is forgotten."""
        with self._store.transaction() as connection:
            known.remove(connection, ask.visitor.subject, identifier(ask.text("account")))
        return RedirectResponse("/favourites", 303)

    def clock(self, ask: Ask) -> Response:
        """The commune's time: a phone whose clock is wrong dates its payments by this one."""
        return JSONResponse({"now_s": ask.now_s}, headers={"Cache-Control": "no-store"})

    def _refunded(self, ask: Ask, holder: bytes) -> purse.Payment | None:
        """The payment of `holder` to who asks that is to be paid back, if that is what they ask for."""
        told = query(ask, "refund")
        if not told:
            return None
        with self._books.now() as book:
            found = purse.payment_with(book, identifier(told))
        is_it = found is not None and (holder_of(found.payer), holder_of(found.payee)) == (
            holder,
            ask.visitor.subject,
        )
        if not is_it:
            raise HTTPException(404)
        return found
