"""Where signed entries arrive from browsers: those that were signed once, and drafts that wait for several."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from commonwatt.i18n import _
from web.allowance import Allowance
from web.book.books import Books
from web.door import Page
from web.drafts import desk
from web.drafts.desk import Draft
from web.drafts.signatures import ENTRY_CHARS_MAX, Signatures
from web.facts import Facts
from web.roles import MEMBERS, OFFICES, key_of
from web.spelling import unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry

ENTRIES_PER_DAY = 1000
"""Of one member: what is in the log stays there for good."""


class DraftPages:
    """Routes of this room."""

    def __init__(self, store: WebStore, books: Books, facts: Facts) -> None:
        self._store, self._books = store, books
        self._signatures = Signatures(store, books, facts)
        self._allowance = Allowance(ENTRIES_PER_DAY)

    def pages(self) -> list[Page]:
        """Every address where something signed arrives."""
        return [
            Page("entries", "/entries", MEMBERS | OFFICES, post=self.enter),
            Page("draft", "/desk/{draft}", MEMBERS | OFFICES, post=self.sign),
            Page("draft-withdraw", "/desk/{draft}/withdraw", OFFICES, post=self.withdraw),
        ]

    def enter(self, ask: Ask) -> Response:
        """Bring a signed entry to the ledger: whoever signed it, the ledger judges it."""
        data = unbase64(ask.text("entry", chars_max=ENTRY_CHARS_MAX))
        if ask.visitor.role in MEMBERS:
            self._allowance.take(ask)
        return self._signatures.enter(data)

    def sign(self, ask: Ask) -> Response:
        """Give a draft to be signed; the second time, take the signature: an approval is kept, a last one placed."""
        with self._books.now() as book:
            key = key_of(book.state, ask.visitor.subject) or b""
        return self._signatures.take(ask, self._draft(ask), key, leads_to="/desk")

    def withdraw(self, ask: Ask) -> Response:
        """Nobody is asked to sign it any more."""
        draft = self._draft(ask)
        with self._store.transaction() as connection:
            desk.end(connection, draft.entry.id, "withdrawn")
        return JSONResponse({"next": "/desk"})

    def _draft(self, ask: Ask) -> Draft:
        try:
            identifier = bytes.fromhex(ask.part("draft"))
        except ValueError as error:
            raise HTTPException(404) from error
        with self._store.transaction() as connection:
            found = desk.find(connection, identifier)
        if found is None:
            raise HTTPException(404)
        if found.ended is not None:
            raise Sorry(_("This was settled already."), _("Load the page again."))
        return found
