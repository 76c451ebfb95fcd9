"""/me/erase: a member's wish to be erased; /erasures: what the offices do about it."""

from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from aggregator.commune.directory import CommuneDirectory
from commonwatt.i18n import _
from commonwatt.identity import new_id
from ledger.book.body import Transfer
from ledger.book.entry import Entry
from web.book.books import Books
from web.consent import erasure
from web.consent.erasure import Erasure, Stage
from web.door import Page
from web.drafts import desk
from web.drafts.signing import to_sign
from web.drafts.turns import in_turn
from web.facts import Facts
from web.identity.presence import check_presence
from web.looks import Looks, Words
from web.names import Names
from web.roles import OFFICES, Role
from web.store.file import WebStore
from web.visitor import Ask, Sorry

RESIDENTS = frozenset((Role.RESIDENT,))
STEWARDS = frozenset((Role.STEWARD,))


class ErasePages:
    """Routes of erasure."""

    def __init__(
        self,
        directory: Path,
        store: WebStore,
        books: Books,
        looks: Looks,
        facts: Facts,
        names: Names,
        *,
        database_url: str = "",
    ) -> None:
        self._directory, self._store, self._books, self._looks = directory, store, books, looks
        self._facts, self._names, self._database_url = facts, names, database_url

    def pages(self) -> list[Page]:
        """Every address of it."""
        return [
            Page("erase", "/me/erase", RESIDENTS, get=self.show, post=self.ask),
            Page("erase-give", "/me/erase/give", RESIDENTS, post=self.give),
            Page("erase-back", "/me/erase/back", RESIDENTS, post=self.take_back),
            Page("erasures", "/erasures", OFFICES, get=self.list),
            Page("erasure-close", "/erasures/{account}/close", STEWARDS, post=self.close),
            Page("erasure-draw", "/erasures/{account}/draw", STEWARDS, post=self.draw),
        ]

    def show(self, ask: Ask) -> Response:
        """What is erased, what stays and why, and what has to be done before."""
        account = ask.visitor.subject
        with self._books.now() as book:
            balance_mc = book.state.book.balance_mc(account)
        with self._store.transaction() as connection:
            asked_s = erasure.asked_s(connection, account)
        assert ask.visitor.login is not None
        values = {"balance_mc": balance_mc, "asked_s": asked_s, "name": ask.visitor.login.name}
        return self._looks.answer(ask, "consent/erase.html", lambda _words: values)

    def give(self, ask: Ask) -> Response:
        """Hand what the member holds to the association: a payment like any other."""
        association = bytes.fromhex(CommuneDirectory(self._directory).load().association)
        account = ask.visitor.subject
        with self._books.now() as book:
            balance_mc = book.state.book.balance_mc(account)
        if balance_mc <= 0:
            raise Sorry(_("There is nothing on your account."), _("Load the page again."))
        payment = Transfer(account, association, balance_mc, "")
        return JSONResponse(to_sign(Entry(new_id(), ask.now_s, payment), self._facts))

    def ask(self, ask: Ask) -> Response:
        """The wish, with one's name typed and the browser's key there."""
        check_presence(ask, self._store, self._books, self._facts.genesis)
        assert ask.visitor.login is not None
        if ask.text("name").casefold() != ask.visitor.login.name.strip().casefold():
            raise Sorry(
                _("This is not your name as it stands here."), _("Type it as it stands above the field, or go back.")
            )
        account = ask.visitor.subject
        with self._books.now() as book:
            state = book.state
            if state.book.balance_mc(account) != 0:
                raise Sorry(
                    _("There is still something on your account."), _("Spend it, give it away, or settle it first.")
                )
            with self._store.transaction() as connection:
                erasure.ask(connection, state, account, now_s=ask.now_s)
        return RedirectResponse("/me/erase", 303)

    def take_back(self, ask: Ask) -> Response:
        """As long as the account is open, one may change one's mind."""
        with self._store.transaction() as connection:
            erasure.take_back(connection, ask.visitor.subject)
        return RedirectResponse("/me/erase", 303)

    def list(self, ask: Ask) -> Response:
        """Who wishes to be erased, and whose turn it is."""
        with self._books.now() as book, self._store.transaction() as connection:
            wishes = erasure.wishes(connection, book.state)
            devices = {wish.account: erasure.devices_of(book.state, wish.account) for wish in wishes}
        rows = [
            (wish, self._why(wish, devices[wish.account]), self._names.now().name_of(wish.account)) for wish in wishes
        ]

        def values(_words: Words) -> dict[str, Any]:
            is_steward = ask.visitor.role is Role.STEWARD
            return {"rows": rows, "Stage": Stage, "is_steward": is_steward, "directory": self._directory.name}

        return self._looks.answer(ask, "consent/erasures.html", values)

    def close(self, ask: Ask) -> Response:
        """Revoke the account and its devices, one signature after the other."""
        account = self._wish(ask).account

        def to_do() -> list[Any]:
            with self._books.now() as book:
                return erasure.to_close(book.state, account)

        return in_turn(ask, self._books, self._facts, to_do, then="/erasures")

    def draw(self, ask: Ask) -> Response:
        """Draw up the carry-forward, for the desk; an earlier one that waits is put aside."""
        wish = self._wish(ask)
        with self._books.now() as book:
            devices = erasure.devices_of(book.state, wish.account)
            left = erasure.to_close(book.state, wish.account)
        if left:
            raise Sorry(_("The account is not closed yet."), _("Close it first."))
        if why := self._why(wish, devices):
            raise Sorry(why, _("Wait for it, then come back."))
        entry = erasure.draw_up(self._directory, wish.account, time_s=ask.now_s)
        assert ask.visitor.login is not None
        with self._books.now() as book, self._store.transaction() as connection:
            erasure.note_things(connection, book.state, wish.account)
            erasure.put_aside(connection, wish.account)
            desk.propose(
                *(connection, entry),
                purpose=erasure.PURPOSE,
                about=wish.account,
                proposed_by=ask.visitor.login.id,
                now_s=ask.now_s,
            )
        return JSONResponse({"next": "/desk"}) if ask.wants_json else RedirectResponse("/desk", 303)

    def _why(self, wish: Erasure, devices: Any) -> str:
        if wish.stage is not Stage.CLOSED:
            return ""
        return erasure.why_not_settled(self._directory, devices, self._database_url)

    def _wish(self, ask: Ask) -> Erasure:
        with self._books.now() as book, self._store.transaction() as connection:
            found = [
                row for row in erasure.wishes(connection, book.state) if row.account.hex() == ask.part("account")
            ]
        if not found:
            raise HTTPException(404)
        return found[0]
