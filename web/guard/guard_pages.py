"""/me/guard: who may give a member a new key. The wallet's own key signs it into the ledger (kind 9)."""

from typing import Any

from starlette.responses import JSONResponse, Response

from commonwatt.i18n import _
from commonwatt.identity import is_valid_public_key, new_id
from ledger.book.entry import Entry
from web import qr
from web.address import Address
from web.allowance import Allowance
from web.book.books import Books
from web.door import Page
from web.drafts.signing import to_sign
from web.facts import Facts
from web.guard import helpers, keys
from web.guard.helpers import DEVICES_MAX, Helper
from web.guard.keys import GuardKey, GuardKind
from web.identity import links, logins
from web.identity.arriving import arrive
from web.identity.browsers import name_of
from web.identity.links import Link, Purpose
from web.identity.new_keys import posted_key
from web.identity.presence import check_presence
from web.looks import Looks, Words
from web.me.sections import Section
from web.roles import EVERYBODY, MEMBERS
from web.spelling import base64url, unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry

CODES_PER_DAY = 20
"""To be printed: more would push the one that counts out of what is shown (keys.py)."""


class GuardPages:
    """Routes of setting it up, and its section of /me."""

    def __init__(self, store: WebStore, books: Books, looks: Looks, facts: Facts, *, address: Address) -> None:
        self._store, self._books, self._looks, self._facts, self._address = store, books, looks, facts, address
        self._allowance = Allowance(CODES_PER_DAY)

    def pages(self) -> list[Page]:
        """Every address of setting it up."""
        return [
            Page("guard", "/me/guard", MEMBERS, get=self.guard, post=self.change),
            Page("guard-code", "/me/guard/code", MEMBERS, get=self.code),
            Page("guard-device", "/me/guard/device", MEMBERS, post=self.device),
            Page("guard-second", "/guard/second/{token}", EVERYBODY, get=self.second, post=self.propose),
        ]

    def section(self, ask: Ask, _words: Words) -> Section | None:
        """What stands on /me."""
        if ask.visitor.role not in MEMBERS:
            return None
        count = len(self._helpers(ask))
        return Section("recovery", _("If you lose this device"), "guard/section.html", {"count": count})

    def guard(self, ask: Ask) -> Response:
        """Who may help, and what can be added."""
        return self._looks.answer(ask, "guard/guard.html", lambda words: self._guard(ask, words))

    def _guard(self, ask: Ask, words: Words) -> dict[str, Any]:
        with self._books.now() as book:
            proposals = helpers.proposals(book.state, ask.visitor.subject, self._known(ask), now_s=ask.now_s)
        now = self._helpers(ask)
        rows = [(helper, words.day_of(helper.created_s) if helper.created_s else "") for helper in now]
        has_code = any(helper.kind is GuardKind.CODE for helper in now)
        return {
            "rows": rows,
            "proposals": proposals[:1],
            "has_code": has_code,
            "kinds": GuardKind,
            "spell": base64url,
        }

    def code(self, ask: Ask) -> Response:
        """Where the browser makes a code to be printed; the code is never sent."""
        values = {"url": f"{self._address.url(ask.request)}/recover", "name": _login_name(ask)}
        return self._looks.answer(ask, "guard/code.html", lambda words: {**values, "day": words.day_of(ask.now_s)})

    def change(self, ask: Ask) -> Response:
        """Draft the guard with a key more (`code`: a new one; `device`: a proposal) or less (`drop`)."""
        now, who = self._helpers(ask), ask.visitor.login
        assert who is not None
        added = dropped = None
        if ask.form.get("code"):
            added = GuardKey(unbase64(ask.text("code")), GuardKind.CODE, "", ask.now_s)
            if not is_valid_public_key(added.public_key):
                raise Sorry(_("This code cannot be used."), _("Load the page again for another one."))
            self._allowance.take(ask)
            with self._store.transaction() as connection:
                keys.add(connection, who, added)
        elif ask.form.get("device"):
            added = self._proposed(ask, ask.text("device"))
            if sum(helper.kind is GuardKind.DEVICE for helper in now) >= DEVICES_MAX:
                raise Sorry(_("You have many second devices already."), _("Remove one that you do not use."))
        else:
            dropped = unbase64(ask.text("drop"))
        body = helpers.guard_with(ask.visitor.subject, now, added=added, dropped=dropped)
        return JSONResponse(to_sign(Entry(new_id(), ask.now_s, body), self._facts))

    def device(self, ask: Ask) -> Response:
        """A QR code by which another browser of the same person becomes the second device."""
        who = ask.visitor.login
        assert who is not None
        check_presence(ask, self._store, self._books, self._facts.genesis)
        with self._store.transaction() as connection:
            links.forget(connection, who.id, Purpose.SECOND)
            token = links.make(connection, Link(Purpose.SECOND, "", who.id), now_s=ask.now_s)
        url = f"{self._address.url(ask.request)}/guard/second/{token}"
        return self._looks.answer(ask, "guard/device.html", lambda _words: {"url": url, "qr": qr.svg(url)})

    def second(self, ask: Ask) -> Response:
        """On the other device: what it is asked to be."""
        who = self._owner(ask)
        return self._looks.answer(ask, "guard/second.html", lambda _words: {"name": who.name, "owner": who.subject})

    def propose(self, ask: Ask) -> Response:
        """The other device has made its key: it waits for the first one, and is signed in."""
        who, public_key = self._owner(ask), posted_key(ask)
        browser = name_of(ask.request.headers.get("user-agent", ""))
        answer = JSONResponse({"subject": who.subject.hex()})
        with self._store.transaction() as connection:
            if not links.use_up(connection, ask.part("token")):
                raise _gone()
            keys.add(connection, who, GuardKey(public_key, GuardKind.DEVICE, browser, ask.now_s))
            if ask.visitor.login != who:
                arrive(connection, ask, who, answer)
        return answer

    def _owner(self, ask: Ask) -> logins.Login:
        with self._store.transaction() as connection:
            found = links.find(connection, ask.part("token"), now_s=ask.now_s)
            is_it = found is not None and found.purpose is Purpose.SECOND and found.login is not None
            who = logins.of_id(connection, found.login) if is_it and found and found.login else None
        if who is None:
            raise _gone()
        return who

    def _known(self, ask: Ask) -> list[GuardKey]:
        assert ask.visitor.login is not None
        with self._store.transaction() as connection:
            return keys.of_login(connection, ask.visitor.login)

    def _helpers(self, ask: Ask) -> list[Helper]:
        known = self._known(ask)
        with self._books.now() as book:
            return helpers.helpers(book.state, ask.visitor.subject, known, None)

    def _proposed(self, ask: Ask, text: str) -> GuardKey:
        wanted = unbase64(text)
        found = next((key for key in self._known(ask) if key.public_key == wanted), None)
        if found is None:
            raise Sorry(_("This second device is not there any more."), _("Load the page again."))
        return found


def _gone() -> Sorry:
    return Sorry(
        _("This link was used already, or it is too old."),
        _("Make a new one on your first device: Me, If you lose this device."),
    )


def _login_name(ask: Ask) -> str:
    assert ask.visitor.login is not None
    return ask.visitor.login.name
