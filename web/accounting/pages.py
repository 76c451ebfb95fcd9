"""A shop's daily closing, its months, and the files for its accountant."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from commonwatt.i18n import _
from commonwatt.units import format_credits
from ledger.book.units import Unit, account_in, unit_of
from web.accounting import drawer, fec, plan, ticket
from web.accounting.movements import Movement, What, read
from web.accounting.plan import Plan
from web.accounting.ticket import FIRST_LINK, Takings, Ticket
from web.book.books import Books
from web.door import Page
from web.facts import Facts
from web.identity.presence import check_key
from web.looks import Looks, Words
from web.money.days import number_of_month
from web.money.people import People
from web.money.tally import Tally
from web.month import Month
from web.pay import purse
from web.roles import Role
from web.store.file import WebStore
from web.units import spoken
from web.visitor import Ask, Sorry

SHOPS = frozenset((Role.MERCHANT,))
YEARS = range(2000, 2200)


class AccountingPages:
    """Routes of this room."""

    def __init__(
        self, store: WebStore, books: Books, tally: Tally, looks: Looks, facts: Facts, people: People
    ) -> None:
        self._store, self._books, self._tally = store, books, tally
        self._looks, self._facts, self._people = looks, facts, people

    def pages(self) -> list[Page]:
        """Every address of a shop's books."""
        return [
            Page("closing", "/closing", SHOPS, get=self.closing, post=self.close),
            Page("closing-month", "/closing/month/{month}", SHOPS, get=self.month),
            Page("closing-ticket", "/closing/{ticket}", SHOPS, get=self.ticket),
            Page("accounting", "/accounting", SHOPS, get=self.accounting, post=self.set_plan),
            Page("accounting-csv", "/accounting/movements-{year}.csv", SHOPS, get=self.csv),
            Page("accounting-fec", "/accounting/fec-{year}.txt", SHOPS, get=self.fec),
        ]

    def closing(self, ask: Ask) -> Response:
        """What is in the till since the last ticket, and the tickets there are."""
        account, today = ask.visitor.subject, self._today(ask)
        open_now, first = self._open(account)
        with self._store.transaction() as connection:
            tickets, seals = drawer.tickets(connection, account)
        wrong = ticket.broken(tickets, seals)
        is_closed = any(row.day == today for row in tickets)
        with self._books.now() as book:
            state = book.state
            has_euros = state.founded.genesis.has_unit(Unit.EURO)
            mine = [purse.purse_of(state, each) for each in purse.accounts_of(state, account)]
        months = sorted({number_of_month(row.day) for row in tickets}, reverse=True)
        values = {
            "open": open_now,
            "today": today,
            "is_closed": is_closed,
            "tickets": [(row, _sales(row)) for row in reversed(tickets[-31:])],
            "months": [Month(number // 12, number % 12 + 1) for number in months],
            "broken": wrong,
            "past": [(unit_of(row.account), row) for row in mine if row.is_past_soft_limit],
            "first": first,
            "has_euros": has_euros,
        }
        return self._looks.answer(ask, "closing.html", lambda _words: values | {"units": self._units()})

    def close(self, ask: Ask) -> Response:
        """Close the day: one ticket more."""
        made = self.close_day(ask.visitor.subject, self._today(ask), ask.now_s)
        return RedirectResponse(f"/closing/{made.number}", 303)

    def close_day(self, account: bytes, today: date, now_s: int) -> Ticket:
        """Make and keep the ticket of a day. Sorry if the day has one."""
        with self._store.transaction() as connection:
            before = drawer.last(connection, account)
            if drawer.is_closed(connection, account, today):
                raise _closed_already()
        previous, seal = before or (None, FIRST_LINK)
        with self._books.now() as book:
            end, root = book.size, book.checkpoint.root
            balances = _balances(book.state, account)
        first = previous.end if previous is not None else 0
        moved = read(self._books, self._tally, account, first=first, end=end)
        made = Ticket(
            account=account,
            number=1 if previous is None else previous.number + 1,
            day=today,
            closed_s=now_s,
            first=first,
            end=end,
            root=root,
            takings=ticket.takings(moved, balances),
            previous=seal,
        )
        try:
            with self._store.transaction() as connection:
                drawer.keep(connection, made)
        except sa.exc.IntegrityError as error:
            raise _closed_already() from error
        return made

    def ticket(self, ask: Ask) -> Response:
        """One ticket, to be printed."""
        number = ask.part("ticket")
        with self._store.transaction() as connection:
            tickets, seals = drawer.tickets(connection, ask.visitor.subject)
        found = next((row for row in tickets if str(row.number) == number), None)
        if found is None:
            raise HTTPException(404)
        wrong = ticket.broken(tickets, seals)
        values = {"ticket": found, "is_broken": wrong is not None and wrong <= found.number}
        return self._looks.answer(ask, "ticket.html", lambda _words: values | {"units": self._units()})

    def month(self, ask: Ask) -> Response:
        """The tickets of a month and what they come to."""
        month = Month.parse(ask.part("month"))
        if month is None:
            raise HTTPException(404)
        with self._store.transaction() as connection:
            tickets, _seals = drawer.tickets(connection, ask.visitor.subject)
        here = [row for row in tickets if (row.day.year, row.day.month) == (month.year, month.month)]
        units = sorted({row.unit for one in here for row in one.takings})
        values = {"month": month, "tickets": here, "sums": [_sum(unit, here) for unit in units]}
        return self._looks.answer(ask, "closing-month.html", lambda _words: values | {"units": self._units()})

    def accounting(self, ask: Ask) -> Response:
        """The accountant's numbers, and the files of each year."""
        with self._store.transaction() as connection:
            kept = drawer.plan_of(connection, ask.visitor.subject)
        today = self._today(ask)
        years = [today.year - back for back in range(3)]

        def values(_words: Words) -> dict[str, Any]:
            return {"plan": kept, "account_names": plan.names(), "years": years, "is_set": bool(kept.siren)}

        return self._looks.answer(ask, "accounting.html", values)

    def set_plan(self, ask: Ask) -> Response:
        """Keep them."""
        words = plan.names()
        accounts = {name: plan.read_account(ask.text(name), words[name]) for name in plan.ACCOUNT_NAMES}
        made = Plan(
            siren=plan.read_siren(ask.text("siren")),
            credit_cents=_whole(ask, "credit_cents", 0, 100_000),
            vat_permille=_whole(ask, "vat_permille", 0, 500),
            year_end_month=_whole(ask, "year_end_month", 1, 12),
            iban=plan.read_iban(ask.text("iban", is_needed=False)),
            **accounts,
        )
        with self._store.transaction() as connection:
            before = drawer.plan_of(connection, ask.visitor.subject)
        if made.iban != before.iban:  # euros go there
            check_key(ask, self._books, self._facts.genesis)
        with self._store.transaction() as connection:
            drawer.put_plan(connection, ask.visitor.subject, made)
        return RedirectResponse("/accounting", 303)

    def csv(self, ask: Ask) -> Response:
        """Every movement of a calendar year."""
        year = _year(ask)
        rows = [row for row in self._all(ask.visitor.subject) if self._day(row.time_s).year == year]
        return _file("".join(self._csv(rows)), "text/csv", f"movements-{year}.csv")

    def fec(self, ask: Ask) -> Response:
        """The FEC of the business year that ends in a year."""
        year, account = _year(ask), ask.visitor.subject
        with self._store.transaction() as connection:
            kept = drawer.plan_of(connection, account)
        if not kept.siren:
            raise Sorry(
                _("The file is named by your SIREN number, and you have not written it here yet."),
                _("Write it on the page “For my accountant”, then download the file."),
            )
        span = fec.Year.ending(year, kept)
        lines = fec.lines(self._all(account), kept, self._people.shops(), self._day, span)
        return _file("".join(lines), "text/plain", fec.file_name(kept, span))

    def _all(self, account: bytes) -> list[Movement]:
        with self._books.now() as book:
            end = book.size
        return read(self._books, self._tally, account, first=0, end=end)

    def _open(self, account: bytes) -> tuple[Sequence[Takings], int]:
        """What the next ticket would say now, and the place where it begins."""
        with self._store.transaction() as connection:
            before = drawer.last(connection, account)
        first = before[0].end if before is not None else 0
        with self._books.now() as book:
            end, balances = book.size, _balances(book.state, account)
        return ticket.takings(read(self._books, self._tally, account, first=first, end=end), balances), first

    def _csv(self, rows: Sequence[Movement]) -> Iterator[str]:
        shops = self._people.shops()
        yield _csv_line(["place", "day", "time", "what", "amount", "unit", "other", "text", "euros"])
        for row in rows:
            local = datetime.fromtimestamp(row.time_s, UTC).astimezone(self._looks.zone)
            other = shops.get(row.other, row.other.hex()) if row.other is not None else ""
            euros = f"{row.cents // 100}.{row.cents % 100:02d}" if row.what in (What.BOUGHT, What.REDEEMED) else ""
            when = [local.date().isoformat(), local.strftime("%H:%M:%S")]
            what = [row.what.value, format_credits(row.amount_mc), row.unit.name.lower()]
            yield _csv_line([str(row.place), *when, *what, _harmless(other), _harmless(row.text), euros])

    def _today(self, ask: Ask) -> date:
        return self._day(ask.now_s)

    def _units(self) -> dict[Unit, str]:
        with self._books.now() as book:
            return spoken(book.state)

    def _day(self, time_s: int) -> date:
        return date.fromordinal(self._tally.days_of.day(time_s))


def _closed_already() -> Sorry:
    return Sorry(
        _("Today is closed already: a day has one ticket, and no ticket is changed."),
        _("What you take from now on stands in the next ticket, which you make tomorrow."),
    )


def _balances(state: Any, account: bytes) -> dict[Unit, int]:
    accounts = state.book.accounts
    held = {unit: accounts.get(account_in(account, unit)) for unit in Unit}
    return {unit: row.balance_mc for unit, row in held.items() if row is not None}


def _sales(row: Ticket) -> list[tuple[Unit, int, int]]:
    return [(part.unit, part.sales, part.received_mc) for part in row.takings if part.sales]


def _sum(unit: Unit, tickets: Sequence[Ticket]) -> dict[str, Any]:
    rows = [part for one in tickets for part in one.takings if part.unit is unit]
    names = ("sales", "received_mc", "payments", "paid_mc", "earned_mc", "bought_mc", "redeemed_mc", "other_mc")
    return {"unit": unit, **{name: sum(getattr(row, name) for row in rows) for name in names}}


def _whole(ask: Ask, name: str, least: int, most: int) -> int:
    text = ask.text(name, chars_max=12)
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise Sorry(
            _("“{text}” cannot be taken.").format(text=text),
            _("Write a whole number from {least} to {most}.").format(least=least, most=most),
        )
    return int(text)


def _year(ask: Ask) -> int:
    text = ask.part("year")
    if not text.isascii() or not text.isdigit() or int(text) not in YEARS:
        raise HTTPException(404)
    return int(text)


def _file(text: str, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(text, media_type=f"{kind}; charset=utf-8", headers=headers)


def _csv_line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
