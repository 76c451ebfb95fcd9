"""What one office does by several entries: signed one after the other in its browser, until nothing is left to do.

The page says what is still to do, looking at the ledger. So a double tap, a second tab or a broken line repeat
nothing: whoever comes again goes on where it stopped.
"""

from collections.abc import Callable, Sequence

from starlette.responses import JSONResponse, Response

from commonwatt.errors import FormatError
from commonwatt.i18n import _
from commonwatt.identity import new_id
from ledger.book import entry as entries
from ledger.book.body import Body
from ledger.book.entry import Entry, SignedEntry
from ledger.sequencer import Refused
from web.book import refusals
from web.book.books import Books
from web.drafts.signing import to_sign
from web.facts import Facts
from web.spelling import unbase64
from web.visitor import Ask, Sorry

ENTRY_CHARS_MAX = 90_000

ToDo = Callable[[], Sequence[Body]]
"""What is not in the ledger yet, in the order in which it has to come; asked anew after each entry."""


def in_turn(
    ask: Ask, books: Books, facts: Facts, to_do: ToDo, *, then: str, done: Callable[[], object] | None = None
) -> Response:
    """Take what was signed, and give the next entry to be signed; at the end `then`, the page that shows what became
    of it. `done`: called once nothing is left."""
    if ask.form.get("signed"):
        refused = _bring(ask, books, to_do())
        if refused is not None:
            return refused
    left = to_do()
    if left:
        return JSONResponse(to_sign(Entry(new_id(), ask.now_s, left[0]), facts, post=ask.path))
    if done is not None:
        done()
    return JSONResponse({"next": then})


def _bring(ask: Ask, books: Books, left: Sequence[Body]) -> Response | None:
    data = unbase64(ask.text("signed", chars_max=ENTRY_CHARS_MAX))
    try:
        parsed = entries.parse(data)
    except FormatError:
        parsed = None
    if not isinstance(parsed, SignedEntry) or parsed.entry.body not in left:
        if not left:
            return None  # it is done already: another tab was quicker
        raise Sorry(_("This is not what was to be signed."), _("Load the page again and repeat it."))
    (answer,) = books.submit(data)
    if not isinstance(answer, Refused):
        return None
    says, what = refusals.sentence(answer.refusal)
    return JSONResponse({"error": says, "to_do": what, "refused": answer.refusal.label}, 422)
