"""/me and what its own forms do."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import RedirectResponse, Response

from commonwatt.i18n import LANGUAGES, _
from web.address import Address
from web.allowance import Allowance
from web.book.books import Books
from web.door import COOKIE, Page
from web.facts import Facts
from web.identity import links, logins, sentences
from web.identity.links import Link, Purpose
from web.identity.presence import check_presence
from web.looks import Looks, Words
from web.mail import letters
from web.mail.postman import Postman
from web.manners import remember_language
from web.me.sections import Maker
from web.phrases import of_role
from web.roles import SIGNED_IN
from web.store.file import WebStore
from web.visitor import Ask, Sorry

LETTERS_PER_DAY = 10
"""To addresses that somebody types: nobody's mailbox is flooded by a member."""


class MePages:
    """Routes of this room. `sections`: in the order in which they stand."""

    def __init__(
        self,
        store: WebStore,
        books: Books,
        looks: Looks,
        facts: Facts,
        *,
        address: Address,
        postman: Postman,
        sections: Sequence[Maker],
    ) -> None:
        self._store, self._books, self._looks, self._facts = store, books, looks, facts
        self._address, self._postman, self._sections = address, postman, sections
        self._allowance = Allowance(LETTERS_PER_DAY)

    def pages(self) -> list[Page]:
        """Every address below /me that is this room's own."""
        return [
            Page("me", "/me", SIGNED_IN, get=self.me),
            Page("me-email", "/me/email", SIGNED_IN, post=self.email),
            Page("me-language", "/me/language", SIGNED_IN, post=self.language),
            Page("me-browsers", "/me/browsers", SIGNED_IN, post=self.browsers),
        ]

    def me(self, ask: Ask) -> Response:
        """Everything that somebody may change about themselves."""
        return self._looks.answer(ask, "me.html", lambda words: self._me(ask, words))

    def _me(self, ask: Ask, words: Words) -> dict[str, Any]:
        made = (make(ask, words) for make in self._sections)
        return {"sections": [section for section in made if section is not None], "role": of_role(ask.visitor.role)}

    def email(self, ask: Ask) -> Response:
        """A link goes to the new address; until it is opened, nothing changes."""
        who = ask.visitor.login
        assert who is not None
        if not self._postman.has_mail:
            raise Sorry(_("This commune sends no e-mails."), _("Add a passkey instead."))
        check_presence(ask, self._store, self._books, self._facts.genesis)
        wanted = ask.text("email", chars_max=letters.ADDRESS_CHARS_MAX)
        if not letters.is_address(wanted):
            raise Sorry(_("This is not an e-mail address."), _("Write it as in name@example.org."))
        self._allowance.take(ask)
        with self._store.transaction() as connection:
            links.forget(connection, who.id, Purpose.EMAIL)
            token = links.make(connection, Link(Purpose.EMAIL, wanted, who.id), now_s=ask.now_s)
            url = f"{self._address.url(ask.request)}/link/{token}"
            letter = sentences.confirm_email(wanted, url, self._facts.title)
            letters.put(connection, letter, now_s=ask.now_s, for_s=links.LINK_S)
        return self._looks.said(
            ask,
            lambda: (
                _("A letter is on its way to {email}.").format(email=wanted),
                _("Open the link in it within 15 minutes; until then nothing changes."),
            ),
        )

    def language(self, ask: Ask) -> Response:
        """What pages and letters are written in from now on."""
        chosen = ask.text("language", chars_max=5)
        if chosen not in LANGUAGES:
            raise Sorry(_("This language is not spoken here."), _("Choose one of the list."))
        assert ask.visitor.login is not None
        with self._store.transaction() as connection:
            logins.set_language(connection, ask.visitor.login, chosen)
        answer = RedirectResponse("/me#language", 303)
        remember_language(answer, ask.request, chosen)
        return answer

    def browsers(self, ask: Ask) -> Response:
        """Sign out one of the browsers, or all but this one."""
        who, own = ask.visitor.login, logins.digest(ask.request.cookies.get(COOKIE, ""))
        assert who is not None
        named = ask.text("session", chars_max=64)
        with self._store.transaction() as connection:
            for session in logins.sessions(connection, who, now_s=ask.now_s):
                if session.token_sha256 != own and named in ("others", session.token_sha256.hex()):
                    logins.end_other(connection, who, session.token_sha256)
        return RedirectResponse("/me#browsers", 303)
