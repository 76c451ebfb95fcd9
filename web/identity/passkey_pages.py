"""Where passkeys are made, used and removed; modules in the browser talk to it (static/wallet/passkeys.js)."""

import json

from starlette.responses import JSONResponse, RedirectResponse, Response

from commonwatt.i18n import _
from web.address import Address
from web.book.books import Books
from web.door import Page
from web.facts import Facts
from web.identity import passkeys
from web.identity.arriving import arrive
from web.identity.browsers import name_of
from web.identity.passkeys import NAME_CHARS_MAX, Place
from web.identity.presence import check_presence
from web.looks import Words
from web.manners import inside
from web.me.sections import Section
from web.roles import EVERYBODY, SIGNED_IN
from web.spelling import base64url, unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry

ANSWER_CHARS_MAX = 20_000


class PasskeyPages:
    """Routes of passkeys, and their section of /me."""

    def __init__(self, store: WebStore, books: Books, facts: Facts, *, address: Address) -> None:
        self._store, self._books, self._facts, self._address = store, books, facts, address

    def pages(self) -> list[Page]:
        """Every address of passkeys."""
        return [
            Page("passkey", "/passkey", EVERYBODY, post=self.enter),
            Page("me-passkeys", "/me/passkeys", SIGNED_IN, post=self.add),
            Page("me-passkeys-remove", "/me/passkeys/remove", SIGNED_IN, post=self.remove),
        ]

    def section(self, ask: Ask, words: Words) -> Section:
        """The passkeys of who asks."""
        assert ask.visitor.login is not None
        with self._store.transaction() as connection:
            theirs = passkeys.of_login(connection, ask.visitor.login)
        rows = [
            {
                "id": base64url(one.credential),
                "name": one.name,
                "when": _("last used {moment}").format(moment=words.moment(one.used_s))
                if one.used_s
                else _("made {moment}").format(moment=words.moment(one.created_s)),
            }
            for one in theirs
        ]
        values = {
            "rows": rows,
            "can": self._address.passkey_host(ask.request) is not None,
            "elsewhere": self._address.public_url,
            "name": name_of(ask.request.headers.get("user-agent", "")) or _("This device"),
        }
        return Section("passkeys", _("Passkeys"), "me/passkeys.html", values)

    def enter(self, ask: Ask) -> Response:
        """What the browser is to ask of its authenticator; the second time, its answer, and a session."""
        place = self._place(ask)
        if "credential" not in ask.form:
            with self._store.transaction() as connection:
                return _options(passkeys.to_enter(connection, place, now_s=ask.now_s))
        answer, asked = ask.text("credential", chars_max=ANSWER_CHARS_MAX), unbase64(ask.text("challenge"))
        with self._store.transaction() as connection:
            who = passkeys.enter(connection, answer, place, asked=asked, now_s=ask.now_s)
            return arrive(connection, ask, who, JSONResponse({"next": inside(ask.form.get("to", "/welcome"))}))

    def add(self, ask: Ask) -> Response:
        """The same for a new passkey."""
        who, place = ask.visitor.login, self._place(ask)
        assert who is not None
        check_presence(ask, self._store, self._books, self._facts.genesis)
        name = ask.text("name", chars_max=NAME_CHARS_MAX)
        with self._store.transaction() as connection:
            if "credential" not in ask.form:
                return _options(passkeys.to_register(connection, who, place, self._facts.title, now_s=ask.now_s))
            answer, asked = ask.text("credential", chars_max=ANSWER_CHARS_MAX), unbase64(ask.text("challenge"))
            passkeys.register(connection, who, answer, place, name=name, asked=asked, now_s=ask.now_s)
        return JSONResponse({"next": "/me#passkeys"})

    def remove(self, ask: Ask) -> Response:
        """One that is lost or not used."""
        assert ask.visitor.login is not None
        credential = unbase64(ask.text("passkey", chars_max=2000))
        check_presence(ask, self._store, self._books, self._facts.genesis)
        with self._store.transaction() as connection:
            passkeys.remove(connection, ask.visitor.login, credential)
        return RedirectResponse("/me#passkeys", 303)

    def _place(self, ask: Ask) -> Place:
        host = self._address.passkey_host(ask.request)
        if host is None:
            raise Sorry(
                _("Passkeys belong to a name, and this page was opened by a number or under another name."),
                _("Open it by its name, or sign in by e-mail."),
            )
        return Place(host, self._address.url(ask.request))


def _options(asked: str) -> JSONResponse:
    return JSONResponse({"options": json.loads(asked)})
