"""Where a voucher's code leads: what it is worth, for everybody; and for shops, taking it."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from commonwatt.i18n import _
from web.book.books import Books
from web.door import Page
from web.facts import Facts
from web.looks import Looks
from web.roles import EVERYBODY, Role
from web.spelling import unbase64
from web.store.file import WebStore
from web.visitor import Ask
from web.vouchers import drawer, paper
from web.vouchers.drawer import Standing
from web.vouchers.paper import Voucher

SHOPS = frozenset((Role.MERCHANT,))
NUMBER_DIGITS_MAX = 12


class VoucherPages:
    """Routes of this room."""

    def __init__(self, store: WebStore, books: Books, looks: Looks, facts: Facts) -> None:
        self._store, self._books, self._looks, self._facts = store, books, looks, facts

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("vouchers", "/v", SHOPS, get=self.till),
            Page("voucher", "/v/{voucher}", EVERYBODY, get=self.voucher),
            Page("voucher-take", "/v/{voucher}/take", SHOPS, post=self.take),
        ]

    def till(self, ask: Ask) -> Response:
        """Where a shop types what stands on the paper; kept open, it works without a connection."""
        return self._looks.answer(ask, "voucher.html", lambda _words: self._page(None, None))

    def voucher(self, ask: Ask) -> Response:
        """One voucher: what is printed in clear, and whether it is still good."""
        found = self._look(ask)
        if found is None:
            raise HTTPException(404)
        with self._books.now() as book:
            standing = drawer.standing(book, found)
        if standing in (Standing.UNPAID, Standing.UNPRINTED):
            raise HTTPException(404)
        return self._looks.answer(ask, "voucher.html", lambda _words: self._page(found, standing))

    def take(self, ask: Ask) -> Response:
        """A shop's claim arrives: the first that the paper's key signed counts. `final`: asking again is no use."""
        found, account = self._look(ask), ask.visitor.subject
        claim = unbase64(ask.text("claim", chars_max=1000))
        if found is None or paper.payee_of(claim, found, self._facts.genesis) != account:
            return _no(_("This is no voucher of this commune, or a letter is wrong."), _("Look at the paper again."))
        with self._books.now() as book:
            standing = drawer.standing(book, found)
        if standing is Standing.BACK:
            return _no(
                _("This voucher was reported lost, and its credits went back."),
                _("Do not take it; tell the association who brought it."),
            )
        is_mine = found.payee == account
        if standing is Standing.PAID and is_mine:
            return JSONResponse({"says": _("You have been paid for this voucher already.")})
        if standing not in (Standing.OPEN, Standing.TAKEN):
            return _no(*_used(found))
        with self._store.transaction() as connection:
            is_first = drawer.take(connection, found.number, account, claim, now_s=ask.now_s)
        if not is_first:
            return _no(*_used(found))
        words = _(
            "Taken: voucher {number} over {amount} credits. They reach your account when the association signs."
        )
        told = words.format(number=found.number, amount=paper.face(found.amount_mc))
        return JSONResponse({"says": told})

    def _look(self, ask: Ask) -> Voucher | None:
        text = ask.part("voucher")
        if not text.isascii() or not text.isdigit() or len(text) > NUMBER_DIGITS_MAX:
            return None
        with self._store.transaction() as connection:
            return drawer.find(connection, int(text))

    def _page(self, found: Voucher | None, standing: Standing | None) -> dict[str, Any]:
        return {
            "voucher": found,
            "standing": standing,
            "cap_mc": paper.OFFLINE_MC_MAX,
            "code_head": f"{found.number}-{paper.face(found.amount_mc)}" if found is not None else "",
        }


def _used(found: Voucher) -> tuple[str, str]:
    return (
        _("Voucher {number} was taken before: each is good once.").format(number=found.number),
        _("Do not take it; the paper may have been copied."),
    )


def _no(says: str, to_do: str) -> JSONResponse:
    return JSONResponse({"error": says, "to_do": to_do, "final": True}, 422)
