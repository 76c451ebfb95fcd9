"""Monthly statements: everybody's own, and all of them on paper, each in its reader's language."""

from functools import partial
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from commonwatt.i18n import LANGUAGES
from ledger.book.show import source_name
from ledger.book.units import Unit
from ledger.log.checkpoint import Checkpoint
from web import qr
from web.address import Address
from web.book.books import Books
from web.door import Page
from web.looks import Looks, Words
from web.money.days import month_of, number_of
from web.money.people import People
from web.money.tally import Tally
from web.month import Month
from web.roles import MEMBERS, Role
from web.statements.figures import Statement, statement
from web.store.file import WebStore
from web.store.schema import login
from web.units import spoken
from web.visitor import Ask

TOWN = frozenset((Role.STEWARD, Role.TOWNHALL))
SHEETS = 250
"""Pages in one go: what a browser prints without trouble."""


class StatementPages:
    """Routes of this room."""

    def __init__(
        self, store: WebStore, books: Books, tally: Tally, looks: Looks, people: People, *, address: Address
    ) -> None:
        self._store, self._books, self._tally = store, books, tally
        self._looks, self._people, self._address = looks, people, address

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("statement", "/statement/{month}", MEMBERS, get=self.own),
            Page("statements", "/statements", TOWN, get=self.index),
            Page("statements-month", "/statements/{month}", TOWN, get=self.all),
            Page("statement-of", "/statements/{month}/{holder}", TOWN, get=self.one),
        ]

    def own(self, ask: Ask) -> Response:
        """One's own month."""
        return self._sheet(ask, ask.visitor.subject, "/home")

    def one(self, ask: Ask) -> Response:
        """Somebody's month, for who stands at the desk."""
        holder = ask.part("holder")
        found = next((row for row in self._people.all() if row.hex() == holder), None)
        if found is None:
            raise HTTPException(404)
        return self._sheet(ask, found, f"/clerk/{holder}")

    def index(self, ask: Ask) -> Response:
        """The months there are."""
        values = {"months": self._months(), "count": len(self._people.all()), "sheets": SHEETS}
        return self._looks.answer(ask, "statements.html", lambda _words: values)

    def all(self, ask: Ask) -> Response:
        """A page for each member who has anything, by name; a part of them where there are many."""
        month = self._month(ask)
        with self._books.now() as book:
            everybody = [statement(book.state, self._tally, holder, month) for holder in self._people.all()]
            head = book.checkpoint
        found = [row for row in everybody if row.accounts]
        number = ask.request.query_params.get("part", "1")
        parts = max(1, -(-len(found) // SHEETS))
        part = int(number) if number.isdigit() and 1 <= int(number) <= parts else 1
        languages = self._languages()
        code = self._code(ask, month)
        sheets = [
            self._looks.part(
                "parts/statement.html",
                languages.get(row.holder, ask.language),
                partial(self._values, row, code, head),
            )
            for row in found[(part - 1) * SHEETS : part * SHEETS]
        ]
        values = {"month": month, "sheets": sheets, "part": part, "parts": parts, "count": len(found)}
        return self._looks.answer(ask, "statements-print.html", lambda _words: values)

    def _sheet(self, ask: Ask, holder: bytes, back: str) -> Response:
        month = self._month(ask)
        with self._books.now() as book:
            found, head = statement(book.state, self._tally, holder, month), book.checkpoint
        code, months = self._code(ask, month), self._months()
        at = months.index(month) if month in months else None
        values = {
            "back": back,
            "before": months[at + 1] if at is not None and at + 1 < len(months) else None,
            "after": months[at - 1] if at else None,
            "here": ask.path.replace(f"/{month}", "/"),
            "tail": "" if ask.path.endswith(str(month)) else ask.path.rpartition("/")[2],
        }
        return self._looks.answer(
            ask, "statement.html", lambda words: {**self._values(found, code, head, words), **values}
        )

    def _values(self, found: Statement, code: Markup, head: Checkpoint, _words: Words) -> dict[str, Any]:
        return {
            "statement": found,
            "name": self._people.of(found.holder),
            "units": self._units(),
            "source_name": source_name,
            "code": code,
            "head": head,
        }

    def _units(self) -> dict[Unit, str]:
        with self._books.now() as book:
            return spoken(book.state)

    def _code(self, ask: Ask, month: Month) -> Markup:
        """Where the reader finds each movement with its proof: the same for all, after signing in."""
        return qr.svg(f"{self._address.url(ask.request)}/statement/{month}")

    def _languages(self) -> dict[bytes, str]:
        """What members chose, of those who did."""
        with self._store.transaction() as connection:
            rows = connection.execute(sa.select(login.c.subject, login.c.language)).all()
        return {row.subject: row.language for row in rows if row.language in LANGUAGES}

    def _month(self, ask: Ask) -> Month:
        month = Month.parse(ask.part("month"))
        if month is None or number_of(month) > self._tally.days_of.month(ask.now_s):
            raise HTTPException(404)
        return month

    def _months(self) -> list[Month]:
        """In which anything moved, the newest first."""
        with self._books.now():
            return [month_of(number) for number in sorted(self._tally.months, reverse=True)]
