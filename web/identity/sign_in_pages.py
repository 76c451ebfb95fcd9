"""/enter, and the links that letters bring: no passwords, and no word about who is known here."""

from typing import Any

from starlette.responses import RedirectResponse, Response

from commonwatt.clock import Protocolar
from commonwatt.i18n import _, speaking
from ledger.http.limits import RateLimit
from web.address import Address
from web.book.books import Books
from web.door import Page
from web.facts import Facts
from web.identity import links, logins, sentences, wishes
from web.identity.arriving import arrive
from web.identity.links import Link, Purpose
from web.looks import Looks
from web.mail import letters
from web.mail.postman import Postman
from web.manners import inside
from web.phrases import of_role
from web.roles import EVERYBODY, role_of
from web.store.file import WebStore
from web.visitor import Ask, Sorry

BURST, PER_S = 10, 1 / 20
"""Addresses that one client may type: at once, and in the long run. A town hall's people share one client address."""


class SignInPages:
    """Routes of signing in by e-mail."""

    def __init__(
        self,
        store: WebStore,
        books: Books,
        looks: Looks,
        facts: Facts,
        *,
        address: Address,
        postman: Postman,
        clock: Protocolar,
    ) -> None:
        self._store, self._books, self._looks, self._facts = store, books, looks, facts
        self._address, self._postman = address, postman
        self._limit = RateLimit(burst=BURST, per_s=PER_S, clock=clock)

    def pages(self) -> list[Page]:
        """Where somebody signs in, and where a letter's link leads."""
        return [
            Page("enter", "/enter", EVERYBODY, get=self.enter, post=self.ask_for_link),
            Page("link", "/link/{token}", EVERYBODY, get=self.link, post=self.use),
        ]

    def enter(self, ask: Ask) -> Response:
        """How to sign in."""
        if ask.visitor.login is not None:
            return RedirectResponse("/welcome", 303)
        values = {
            "there": inside(ask.request.query_params.get("to", "/welcome")),
            "has_mail": self._postman.has_mail,
            "can_have_passkeys": self._address.passkey_host(ask.request) is not None,
            "elsewhere": self._address.public_url,
        }
        return self._looks.answer(ask, "enter.html", lambda _words: values)

    def ask_for_link(self, ask: Ask) -> Response:
        """The same answer for every address, after the same work."""
        email = ask.text("email", chars_max=letters.ADDRESS_CHARS_MAX)
        if not letters.is_address(email):
            raise Sorry(_("This is not an e-mail address."), _("Write it as in name@example.org."))
        if not self._postman.has_mail:
            raise Sorry(_("This commune sends no e-mails."), _("Ask the association for an invitation."))
        wait_s = self._limit.wait_s((ask.request.client or ("",))[0])
        if wait_s > 0:
            raise Sorry(_("Too many links were asked for from here."), _("Wait a few minutes."))
        with self._store.transaction() as connection:
            wishes.note(connection, email, ask.language, now_s=ask.now_s)
        return self._looks.said(
            ask,
            lambda: (
                _("Look into your mailbox."),
                _(
                    "If this address is known here, a letter with a link is on its way. The link is good once, for "
                    "15 minutes. Nothing came? Look among the unwanted letters, or ask the association which "
                    "address it has."
                ),
            ),
        )

    def link(self, ask: Ask) -> Response:
        """What the link does, and a button that does it: programs that look at letters press none."""
        found = self._found(ask)
        if found.purpose is Purpose.SECOND:
            return RedirectResponse(f"/guard/second/{ask.part('token')}", 303)
        return self._looks.answer(ask, "link.html", lambda _words: self._choices(found))

    def use(self, ask: Ask) -> Response:
        """The button."""
        found = self._found(ask)
        if found.purpose is Purpose.EMAIL:
            return self._change_email(ask, found)
        if found.purpose is not Purpose.ENTER:
            raise _gone()
        with self._store.transaction() as connection:
            theirs = {who.id.hex(): who for who in logins.of_email(connection, found.email)}
            who = theirs.get(ask.text("login", chars_max=32))
            if who is None or not links.use_up(connection, ask.part("token")):
                raise _gone()
            return arrive(connection, ask, who, RedirectResponse("/welcome", 303))

    def _change_email(self, ask: Ask, found: Link) -> Response:
        assert found.login is not None
        with self._store.transaction() as connection:
            who = logins.of_id(connection, found.login)
            if who is None or not links.use_up(connection, ask.part("token")):
                raise _gone()
            logins.set_email(connection, who, found.email)
            if who.email and who.email != found.email:
                with speaking(who.language or ask.language):
                    letter = sentences.email_changed(who.email, found.email, self._facts.title)
                letters.put(connection, letter, now_s=ask.now_s)
        return self._looks.said(
            ask,
            lambda: (
                _("From now on your letters come to {email}.").format(email=found.email),
                _("You can close this page."),
            ),
        )

    def _found(self, ask: Ask) -> Link:
        with self._store.transaction() as connection:
            found = links.find(connection, ask.part("token"), now_s=ask.now_s)
        if found is None:
            raise _gone()
        return found

    def _choices(self, found: Link) -> dict[str, Any]:
        """Whoever shares an address chooses who they are."""
        with self._store.transaction() as connection:
            theirs = logins.of_email(connection, found.email) if found.purpose is Purpose.ENTER else []
        with self._books.now() as book:
            people = [
                {"id": who.id.hex(), "name": who.name, "role": of_role(role_of(book.state, who.subject))}
                for who in theirs
            ]
        return {"people": people, "email": found.email, "is_enter": found.purpose is Purpose.ENTER}


def _gone() -> Sorry:
    return Sorry(
        _("This link was used already, or it is too old."),
        _("Ask for a new one: each is good once, for 15 minutes."),
    )
