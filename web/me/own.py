"""The sections of /me that everybody has: the browser's key, e-mail, browsers, language."""

from dataclasses import dataclass

from starlette.requests import Request

from commonwatt.i18n import _
from web.door import COOKIE
from web.identity import logins
from web.identity.logins import Session
from web.looks import NAMES, Words
from web.mail.postman import Postman
from web.me.sections import Section
from web.store.file import WebStore
from web.visitor import Ask


@dataclass(frozen=True, slots=True)
class OwnSections:
    """Makers of them."""

    store: WebStore
    postman: Postman

    def email(self, ask: Ask, _words: Words) -> Section | None:
        """Where links go; nothing where no e-mail is sent."""
        assert ask.visitor.login is not None
        if not self.postman.has_mail:
            return None
        return Section("email", _("E-mail"), "me/email.html", {"email": ask.visitor.login.email or ""})

    def browsers(self, ask: Ask, words: Words) -> Section:
        """Who is signed in."""
        assert ask.visitor.login is not None
        with self.store.transaction() as connection:
            found = logins.sessions(connection, ask.visitor.login, now_s=ask.now_s)
        rows = [
            {
                "id": session.token_sha256.hex(),
                "name": session.browser or _("A browser"),
                "when": _("seen {moment}").format(moment=words.moment(session.seen_s)),
                "is_this": is_this(session, ask.request),
            }
            for session in sorted(found, key=lambda session: not is_this(session, ask.request))
        ]
        return Section("browsers", _("Signed in with"), "me/browsers.html", {"rows": rows})

    def language(self, ask: Ask, _words: Words) -> Section:
        """What pages and letters are written in."""
        return Section("language", _("Language"), "me/language.html", {"names": NAMES, "chosen": ask.language})


def is_this(session: Session, request: Request) -> bool:
    """Whether a session is the one that asks."""
    return session.token_sha256 == logins.digest(request.cookies.get(COOKIE, ""))
