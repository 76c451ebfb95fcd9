"""The till: /till shows a code and says when it is paid, /till/sales what was taken today, /till/slip/ID a slip."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.book.units import holder_of, unit_of
from ledger.log import merkle
from web.book.books import Books
from web.door import Page
from web.facts import Facts
from web.looks import Looks, Words
from web.names import Names
from web.pay import purse
from web.pay.fields import Values, identifier
from web.pay.form import has
from web.pay.purse import Payment
from web.roles import MEMBERS, Role
from web.till.sales import day_of, start_of_day_s
from web.units import spoken
from web.visitor import Ask

SHOPS = frozenset((Role.MERCHANT,))
ENTRIES_MAX = 2_000
"""Of a shop, looked through for the sales of a day."""


class TillPages:
    """Routes of this room."""

    def __init__(self, books: Books, looks: Looks, facts: Facts, names: Names) -> None:
        self._books, self._looks, self._facts, self._names = books, looks, facts, names

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("till", "/till", SHOPS, get=self.till),
            Page("till-sales", "/till/sales", SHOPS, get=self.sales),
            Page("till-slip", "/till/slip/{payment}", MEMBERS, get=self.slip),
        ]

    def till(self, ask: Ask) -> Response:
        """The pad. Where the shop itself owes more than it should, that is told before payments of it are refused."""
        with self._books.now() as book:
            units = spoken(book.state)
            mine = [
                purse.purse_of(book.state, account) for account in purse.accounts_of(book.state, ask.visitor.subject)
            ]
        past = [(row, units[unit_of(row.account)]) for row in mine if row.is_past_soft_limit]
        return self._looks.answer(
            ask,
            "till/till.html",
            lambda words: {"units": units, "past": [has(words, row.free_mc, unit) for row, unit in past]},
        )

    def sales(self, ask: Ask) -> Response:
        """What was taken today."""
        me, start_s = ask.visitor.subject, start_of_day_s(ask.now_s, self._looks.zone)
        with self._books.now() as book:
            units = spoken(book.state)
            day = day_of(purse.payments(book, me, entries_max=ENTRIES_MAX), me, start_s=start_s)

        def row(payment: Payment, words: Words) -> Values:
            is_sale = holder_of(payment.payee) == me
            other = holder_of(payment.payer if is_sale else payment.payee)
            return {
                "id": payment.id.hex(),
                "other": self._names.of(other),
                "account": other.hex(),
                "amount": words.amount(payment.amount_mc, units[unit_of(payment.payee)]),
                "memo": payment.memo,
                "clock": words.clock(payment.time_s),
            }

        return self._looks.answer(
            ask,
            "till/sales.html",
            lambda words: {
                "sales": [row(payment, words) for payment in day.sales],
                "returned": [row(payment, words) for payment in day.returned],
                "taken": [words.amount(amount_mc, units[unit]) for unit, amount_mc in day.taken_mc.items()],
            },
        )

    def slip(self, ask: Ask) -> Response:
        """A payment to be printed, for the two whom it concerns."""
        with self._books.now() as book:
            found = purse.payment_with(book, identifier(ask.part("payment")))
            if found is None or ask.visitor.subject not in (holder_of(found.payer), holder_of(found.payee)):
                raise HTTPException(404)
            unit, leaf = spoken(book.state)[unit_of(found.payer)], merkle.leaf_hash(book.entry(found.place))
        return self._looks.answer(
            ask,
            "till/slip.html",
            lambda words: {
                "payment": found,
                "payer": self._names.of(holder_of(found.payer)),
                "payee": self._names.of(holder_of(found.payee)),
                "amount": words.amount(found.amount_mc, unit),
                "when": words.moment(found.time_s),
                "reference": f"{found.place}-{leaf.hex()[:12]}",
                "origin": self._facts.origin,
            },
        )
