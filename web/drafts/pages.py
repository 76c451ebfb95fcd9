"""Where signed entries arrive from browsers: those that were signed once, and drafts that wait for several."""

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from commonwatt.errors import FormatError
from commonwatt.i18n import _
from commonwatt.identity import key_hint
from ledger.book import entry as entries
from ledger.book.entry import SignedEntry
from ledger.sequencer import Refused
from web.book import refusals
from web.book.books import Books
from web.door import Page
from web.drafts import desk
from web.drafts.desk import Draft
from web.drafts.signing import check_approval, to_sign
from web.facts import Facts
from web.roles import MEMBERS, OFFICES, key_of
from web.spelling import unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry

log = logging.getLogger(__name__)

ENTRY_CHARS_MAX = 90_000


class DraftPages:
    """Routes of this room."""

    def __init__(self, store: WebStore, books: Books, facts: Facts) -> None:
        self._store, self._books, self._facts = store, books, facts

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
        answer = self._submit(data)
        return JSONResponse(answer, 422 if "error" in answer else 200)

    def sign(self, ask: Ask) -> Response:
        """Give a draft to be signed; the second time, take the signature: an approval is kept, a last one placed."""
        draft = self._draft(ask)
        with self._books.now() as book:
            key = key_of(book.state, ask.visitor.subject) or b""
            asked = desk.asks(book.state, draft, key)
        if asked is None:
            raise Sorry(_("Your signature is not needed here, or it is there already."), _("Load the page again."))
        if not ask.form.get("signed"):
            given = to_sign(draft.whole, self._facts, is_approval=not asked.is_last, post=ask.path)
            return JSONResponse(given)
        signed = unbase64(ask.text("signed", chars_max=ENTRY_CHARS_MAX))
        if not asked.is_last:
            check_approval(signed, draft.entry, key, self._facts.genesis)
            with self._store.transaction() as connection:
                desk.add_approval(connection, draft.entry.id, key_hint(key), signed)
            return JSONResponse({"next": "/desk"})
        answer = self._submit(signed, draft)
        return JSONResponse(answer, 422 if "error" in answer else 200)

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

    def _submit(self, data: bytes, draft: Draft | None = None) -> dict[str, Any]:
        """Its place, or a sentence. What several signed is put aside once it is placed."""
        try:
            parsed = entries.parse(data)
        except FormatError:
            parsed = None
        is_it = isinstance(parsed, SignedEntry) and (draft is None or parsed.entry == draft.whole)
        if not is_it:
            raise Sorry(_("This is not what was to be signed."), _("Load the page again and repeat it."))
        (answer,) = self._books.submit(data)
        if isinstance(answer, Refused):
            says, to_do = refusals.sentence(answer.refusal)
            return {"error": says, "to_do": to_do, "refused": answer.refusal.label}
        if draft is not None:
            with self._store.transaction() as connection:
                desk.end(connection, draft.entry.id, f"placed {answer.place}")
        warned = [account.hex() for account in answer.warned]
        return {"place": answer.place, "warned": warned, "next": "/desk" if draft is not None else ""}
