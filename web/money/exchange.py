"""The euro desk: shops ask for euros, the association agrees and sends them; and euros that come in for credits."""

import secrets
from datetime import date
from typing import Any

import sqlalchemy as sa
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from commonwatt.i18n import _
from commonwatt.identity import new_id
from ledger.book.body import Redeem, TopUp
from ledger.book.entry import Entry
from ledger.book.kinds import Kind, Subject
from ledger.book.payments import MC_PER_CENT
from ledger.book.state import State
from ledger.book.units import RESERVE, Unit, account_in, holder_of
from web.accounting import drawer
from web.book.books import Books
from web.door import Page
from web.drafts import desk
from web.drafts.desk import Draft
from web.drafts.signing import to_sign
from web.facts import Facts
from web.looks import Looks, Words
from web.money import euros
from web.money.people import People
from web.money.tally import Euros, Tally
from web.roles import Role, key_of
from web.store.file import WebStore
from web.store.schema import payout
from web.visitor import Ask, Sorry

SHOPS = frozenset((Role.MERCHANT,))
TOWN = frozenset((Role.STEWARD, Role.TOWNHALL))
STEWARDS = frozenset((Role.STEWARD,))
PURPOSE = "reconvert"
BOOK_ROWS = 100
REFERENCE_CHARS = 60


class ExchangePages:
    """Routes of this room."""

    def __init__(
        self, store: WebStore, books: Books, tally: Tally, looks: Looks, facts: Facts, people: People
    ) -> None:
        self._store, self._books, self._tally = store, books, tally
        self._looks, self._facts, self._people = looks, facts, people

    def pages(self) -> list[Page]:
        """Every address where euros meet credits."""
        return [
            Page("reconvert", "/reconvert", SHOPS, get=self.reconvert, post=self.ask_for_euros),
            Page("reconvert-withdraw", "/reconvert/{draft}/withdraw", SHOPS, post=self.take_back),
            Page("euros", "/money/euros", TOWN, get=self.euros),
            Page("euros-csv", "/money/euros.csv", TOWN, get=self.euros_csv),
            Page("payouts-csv", "/money/payouts.csv", TOWN, get=self.payouts_csv),
            Page("payout", "/money/payouts/{entry}", STEWARDS, post=self.sent),
            Page("top-up", "/money/top-up", STEWARDS, post=self.top_up),
        ]

    def reconvert(self, ask: Ask) -> Response:
        """What a shop can give back, what it asked for, and what became of it."""
        holder = ask.visitor.subject
        with self._books.now() as book:
            state = book.state
            account = _euro_account(state, holder)
            free_mc, fee = state.book.free_mc(account), euros.fee_permille(state)
            past = [row for row in self._tally.euros if row.account == account and row.paid_cents <= 0]
            waiting = [
                (draft, desk.asks(state, draft, key_of(state, holder) or b"") is not None)
                for draft in self._waiting(holder)
            ]
        sent = self._sent()
        values = {
            "free_mc": free_mc,
            "fee": fee,
            "waiting": waiting,
            "past": [(row, row.entry_id in sent) for row in reversed(past[-BOOK_ROWS:])],
        }
        return self._looks.answer(ask, "reconvert.html", lambda _words: values)

    def ask_for_euros(self, ask: Ask) -> Response:
        """Ask the association: it approves at its desk, then the shop's browser signs."""
        holder, cents = ask.visitor.subject, euros.read_cents(ask.text("amount", chars_max=20))
        amount_mc = cents * MC_PER_CENT
        with self._books.now() as book:
            state = book.state
            account = _euro_account(state, holder)
            if amount_mc > state.book.free_mc(account):
                raise Sorry(
                    _("There are not so many euro credits on your account."),
                    _("Write less: only credits that were bought with euros can be given back for euros."),
                )
            paid = euros.paid_cents(amount_mc, euros.fee_permille(state))
        if self._waiting(holder):
            raise Sorry(
                _("You have asked already, and that is not settled yet."), _("Wait for it, or take it back first.")
            )
        reference = f"{date.fromordinal(self._tally.days_of.day(ask.now_s)):%Y-%m-%d}/{secrets.token_hex(3)}"
        entry = Entry(new_id(), ask.now_s, Redeem(account, amount_mc, paid, reference))
        login = ask.visitor.login
        with self._store.transaction() as connection:
            desk.propose(
                connection,
                entry,
                purpose=PURPOSE,
                about=holder,
                proposed_by=login.id if login is not None else None,
                now_s=ask.now_s,
            )
        return RedirectResponse("/reconvert", 303)

    def take_back(self, ask: Ask) -> Response:
        """The shop does not want it any more."""
        wanted = ask.part("draft")
        for draft in self._waiting(ask.visitor.subject):
            if draft.entry.id.hex() == wanted:
                with self._store.transaction() as connection:
                    desk.end(connection, draft.entry.id, "withdrawn")
                return RedirectResponse("/reconvert", 303)
        raise HTTPException(404)

    def euros(self, ask: Ask) -> Response:
        """The cash book of the reserve, what is to be sent, and who has paid in."""
        with self._books.now() as book:
            rows = list(self._tally.euros)
            reserve_mc = book.state.book.free_mc(account_in(RESERVE, Unit.EURO))
            has_euros = book.state.founded.genesis.has_unit(Unit.EURO)
        with self._store.transaction() as connection:
            waiting = [draft for draft in desk.waiting(connection) if draft.purpose == PURPOSE]
        sent = self._sent()

        def values(_words: Words) -> dict[str, Any]:
            lines = [(line, self._people.of(holder_of(line.euros.account))) for line in euros.cash_book(rows)]
            return {
                "has_euros": has_euros,
                "reserve_cents": reserve_mc // MC_PER_CENT,
                "lines": lines[: -BOOK_ROWS - 1 : -1],
                "payouts": [(row, self._people.of(holder_of(row.account))) for row in rows if _is_due(row, sent)],
                "waiting": [(draft.entry.body, self._people.of(draft.about or b"")) for draft in waiting],
                "people": self._people.all().values(),
                "entry": new_id().hex(),
                "is_steward": ask.visitor.role is Role.STEWARD,
            }

        return self._looks.answer(ask, "euros.html", values)

    def top_up(self, ask: Ask) -> Response:
        """Euros have come in: units for them, to be signed by the steward's browser."""
        found = self._people.search(ask.text("who"), limit=2)
        exact = [person for person in found if person.name.casefold() == ask.text("who").casefold()]
        if len(exact or found) != 1:
            raise Sorry(
                _("It is not clear who “{name}” is.").format(name=ask.text("who")),
                _("Write the whole name, as on the list of people."),
            )
        (person,) = exact or found
        cents = euros.read_cents(ask.text("amount", chars_max=20))
        reference = ask.text("reference", chars_max=REFERENCE_CHARS)
        with self._books.now() as book:
            account = _euro_account(book.state, person.id)
            quorum = book.state.founded.genesis.quorum(Kind.TOP_UP)
        try:
            identifier = bytes.fromhex(ask.text("entry"))
        except ValueError as error:
            raise HTTPException(404) from error
        entry = Entry(identifier, ask.now_s, TopUp(account, cents * MC_PER_CENT, cents, reference))
        if quorum is not None and quorum.k > 1:
            with self._store.transaction() as connection:
                if desk.find(connection, identifier) is None:  # a second tap: the form's number is the entry's
                    by = ask.visitor.login.id if ask.visitor.login is not None else None
                    desk.propose(
                        connection, entry, purpose="top-up", about=person.id, proposed_by=by, now_s=ask.now_s
                    )
            return JSONResponse({"next": "/desk"})
        return JSONResponse(to_sign(entry, self._facts))

    def sent(self, ask: Ask) -> Response:
        """The association has sent the euros of a redemption from its bank."""
        wanted = ask.part("entry")
        with self._books.now() as book:
            assert book.size
            found = next((row for row in self._tally.euros if row.entry_id.hex() == wanted), None)
        if found is None:
            raise HTTPException(404)
        with self._store.transaction() as connection:
            this = sa.select(payout.c.entry).where(payout.c.entry == found.entry_id)
            if connection.execute(this).one_or_none() is None:
                row = {"entry": found.entry_id, "sent_s": ask.now_s, "sent_by": ask.visitor.subject}
                connection.execute(sa.insert(payout).values(**row))
        return RedirectResponse("/money/euros", 303)

    def euros_csv(self, _ask: Ask) -> Response:
        """The cash book as a file."""
        with self._books.now():
            rows = list(self._tally.euros)
        lines = ["day;place;who;reference;in;out;balance\r\n"]
        for line in euros.cash_book(rows):
            cents = line.euros.paid_cents
            amounts = [_comma(max(cents, 0)), _comma(max(-cents, 0)), _comma(line.balance_cents)]
            lines.append(self._csv(line.euros, amounts))
        return _csv_file("".join(lines), "reserve.csv")

    def payouts_csv(self, _ask: Ask) -> Response:
        """What is to be sent, for the bank's form: who, IBAN, amount, reference."""
        with self._books.now():
            rows = list(self._tally.euros)
        sent, lines = self._sent(), ["day;place;who;reference;amount;iban\r\n"]
        with self._store.transaction() as connection:
            for row in rows:
                if _is_due(row, sent):
                    iban = drawer.plan_of(connection, holder_of(row.account)).iban
                    lines.append(self._csv(row, [_comma(-row.paid_cents), iban]))
        return _csv_file("".join(lines), "payouts.csv")

    def _csv(self, row: Euros, more: list[str]) -> str:
        day = date.fromordinal(self._tally.days_of.day(row.time_s)).isoformat()
        who = self._people.of(holder_of(row.account))
        cells = [day, str(row.place), who, row.reference, *more]
        return ";".join(_cell(cell) for cell in cells) + "\r\n"

    def _waiting(self, holder: bytes) -> list[Draft]:
        with self._store.transaction() as connection:
            return [row for row in desk.waiting(connection) if row.purpose == PURPOSE and row.about == holder]

    def _sent(self) -> set[bytes]:
        with self._store.transaction() as connection:
            return set(connection.execute(sa.select(payout.c.entry)).scalars())


def _euro_account(state: State, holder: bytes) -> bytes:
    """Sorry where there are no euro credits, or not for this holder."""
    if not state.founded.genesis.has_unit(Unit.EURO):
        raise Sorry(
            _("There are no euro credits in this commune."),
            _("Its constitution knows credits from energy only; nothing here can become euros."),
        )
    found = state.admissions.account(holder)
    if found is None or found[0].subject is Subject.ASSOCIATION:
        raise Sorry(_("The association's own account has no euro credits."), _("Choose a member or a shop."))
    return account_in(holder, Unit.EURO)


def _is_due(row: Euros, sent: set[bytes]) -> bool:
    return row.paid_cents < 0 and row.entry_id not in sent


def _comma(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02d}"


def _cell(text: str) -> str:
    """One cell: no line, no separator, and nothing that a spreadsheet takes for a formula."""
    plain = " ".join(text.replace(";", ",").replace('"', "'").split())
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@") else plain


def _csv_file(text: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=headers)
