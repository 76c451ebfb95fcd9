"""What browsers have signed arrives here: whole entries for the ledger, and the signatures that drafts wait for."""

from starlette.responses import JSONResponse

from commonwatt.errors import FormatError
from commonwatt.i18n import _
from commonwatt.identity import key_hint
from ledger.book import entry as entries
from ledger.book.body import Rotate
from ledger.book.entry import Entry, SignedEntry
from ledger.sequencer import Placed, Refused
from web.book import refusals
from web.book.books import Books
from web.drafts import desk
from web.drafts.desk import Draft
from web.drafts.signing import check_approval, to_sign
from web.facts import Facts
from web.spelling import unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry

ENTRY_CHARS_MAX = 90_000


class Signatures:
    """Takes them from pages of any room; answers what static/wallet/sign.js reads."""

    def __init__(self, store: WebStore, books: Books, facts: Facts) -> None:
        self._store, self._books, self._facts = store, books, facts

    def enter(self, data: bytes) -> JSONResponse:
        """Bring a signed entry to the ledger; its place, or a sentence."""
        answer = self._submit(data, None)
        if isinstance(answer, Refused):
            return _refused(answer)
        warned = [account.hex() for account in answer.warned]
        return JSONResponse({"place": answer.place, "warned": warned, "next": ""})

    def take(self, ask: Ask, draft: Draft, key: bytes, *, leads_to: str) -> JSONResponse:
        """Give a draft to be signed by a key; when `signed` is posted, take the signature: an approval is kept, the
        last one placed. Sorry if this key is not asked for."""
        with self._books.now() as book:
            asked = desk.asks(book.state, draft, key)
        if asked is None:
            raise Sorry(_("Your signature is not needed here, or it is there already."), _("Load the page again."))
        if not ask.form.get("signed"):
            given = to_sign(asked.whole, self._facts, is_approval=not asked.is_last, post=ask.path)
            return JSONResponse(given)
        signed = unbase64(ask.text("signed", chars_max=ENTRY_CHARS_MAX))
        if not asked.is_last:
            check_approval(signed, draft.entry, key, self._facts.genesis)
            with self._store.transaction() as connection:
                desk.add_approval(connection, draft.entry.id, key_hint(key), signed)
            return JSONResponse({"next": leads_to})
        answer = self._submit(signed, asked.whole)
        if isinstance(answer, Refused):
            return _refused(answer)
        with self._store.transaction() as connection:
            desk.end(connection, draft.entry.id, f"placed {answer.place}")
            if isinstance(draft.entry.body, Rotate):
                desk.supersede(connection, draft.entry.body.id, draft.entry.id)
        return JSONResponse({"place": answer.place, "warned": [], "next": leads_to})

    def _submit(self, data: bytes, wanted: Entry | None) -> Placed | Refused:
        try:
            parsed = entries.parse(data)
        except FormatError:
            parsed = None
        if not isinstance(parsed, SignedEntry) or (wanted is not None and parsed.entry != wanted):
            raise Sorry(_("This is not what was to be signed."), _("Load the page again and repeat it."))
        (answer,) = self._books.submit(data)
        return answer


def _refused(answer: Refused) -> JSONResponse:
    says, to_do = refusals.sentence(answer.refusal)
    return JSONResponse({"error": says, "to_do": to_do, "refused": answer.refusal.label}, 422)
