"""Signing in and out, and taking up an invitation."""

from typing import Any

import sqlalchemy as sa
from starlette.responses import JSONResponse, RedirectResponse, Response

from commonwatt.i18n import _
from commonwatt.identity import key_hint, new_id
from ledger.book.body import AdmitRole, Rotate, role_key_id
from ledger.book.entry import Entry
from web.book.books import Books
from web.consent import erasure
from web.door import COOKIE, Page
from web.drafts import desk
from web.drafts.signing import to_sign
from web.facts import Facts
from web.identity import invitations, logins, new_keys, newcomers
from web.identity.arriving import arrive
from web.identity.invitations import Invitation, InvitedAs
from web.identity.logins import Login
from web.looks import Looks
from web.roles import EVERYBODY, SIGNED_IN, Role
from web.store.file import WebStore
from web.visitor import Ask, Sorry

HOME_OF = {
    Role.WAITING: "/waiting",
    Role.RESIDENT: "/home",
    Role.MERCHANT: "/till",
    Role.STEWARD: "/desk",
    Role.TOWNHALL: "/desk",
    Role.OPERATOR: "/grid",
    Role.AUDITOR: "/log",
}
"""Where somebody goes who has signed in."""


class IdentityPages:
    """Routes of this room."""

    def __init__(self, store: WebStore, books: Books, looks: Looks, facts: Facts) -> None:
        self._store, self._books, self._looks, self._facts = store, books, looks, facts

    def pages(self) -> list[Page]:
        """Coming, going, and taking up an invitation."""
        return [
            Page("welcome", "/welcome", SIGNED_IN, get=self.welcome),
            Page("leave", "/leave", SIGNED_IN, post=self.leave),
            Page("join", "/join/{token}", EVERYBODY, get=self.join, post=self.take_up),
            Page("waiting", "/waiting", SIGNED_IN, get=self.waiting),
        ]

    def welcome(self, ask: Ask) -> Response:
        """Each to their own first page."""
        home = HOME_OF[ask.visitor.role]
        return RedirectResponse(home if home in self._looks.paths else "/", 303)

    def leave(self, ask: Ask) -> Response:
        """Sign this browser out. Its key stays in it."""
        with self._store.transaction() as connection:
            logins.end_session(connection, ask.request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE)
        return answer

    def waiting(self, ask: Ask) -> Response:
        """What is still missing until somebody may take part."""
        with self._store.transaction() as connection:
            drafts = [draft for draft in desk.waiting(connection) if draft.about == ask.visitor.subject]
            is_leaving = erasure.asked_s(connection, ask.visitor.subject) is not None
        if ask.visitor.role is not Role.WAITING and not drafts:
            return RedirectResponse("/welcome", 303)
        values = {"is_drafted": bool(drafts), "is_leaving": is_leaving}
        return self._looks.answer(ask, "waiting.html", lambda _words: values, headers={"Refresh": "5"})

    def join(self, ask: Ask) -> Response:
        """Who is invited, to what, and the button that makes the key."""
        invited = self._invitation(ask)
        if invited.login is not None:
            if ask.visitor.login is not None and ask.visitor.login.id == invited.login:
                return RedirectResponse("/welcome", 303)
            raise Sorry(
                _("This invitation was taken up already."),
                _("If it was not you, tell the association. Otherwise sign in."),
            )
        return self._looks.answer(ask, "join.html", lambda _words: self._join(ask, invited))

    def take_up(self, ask: Ask) -> Response:
        """A browser's new key arrives: it is told what the ledger will be asked, agrees to it with a signature, and
        its session begins."""
        invited = self._invitation(ask)
        if invited.login is not None:
            raise _taken_up()
        public_key = new_keys.posted_key(ask)
        entry = self._entry(ask, invited, public_key)
        if entry is not None and not ask.form.get("approval"):
            return JSONResponse(to_sign(entry, self._facts, is_approval=True))
        subject = new_id() if entry is None else _subject(entry)
        answer = JSONResponse({"next": "/waiting", "subject": subject.hex()})
        with self._store.transaction() as connection:
            who = logins.add(connection, subject=subject, name=invited.name, email=invited.email, now_s=ask.now_s)
            if not invitations.take_up(connection, ask.part("token"), who.id, subject):
                raise _taken_up()
            if entry is None:
                newcomers.add(connection, who.id, public_key, is_merchant=invited.kind is InvitedAs.MERCHANT)
            else:
                approval = new_keys.approval_of(ask, entry, public_key, self._facts.genesis)
                self._propose(connection, entry, public_key=public_key, approval=approval, who=who, now_s=ask.now_s)
            return arrive(connection, ask, who, answer)

    def _propose(
        self,
        connection: sa.Connection,
        entry: Entry,
        *,
        public_key: bytes,
        approval: bytes,
        who: Login,
        now_s: int,
    ) -> None:
        is_takeover = isinstance(entry.body, Rotate)
        desk.propose(
            connection,
            entry,
            purpose="takeover" if is_takeover else "office",
            about=_subject(entry),
            proposed_by=who.id,
            now_s=now_s,
            approvals=((key_hint(public_key), approval),) if is_takeover else (),
        )
        if is_takeover:
            desk.supersede(connection, _subject(entry), entry.id)

    def _invitation(self, ask: Ask) -> Invitation:
        with self._store.transaction() as connection:
            found = invitations.find(connection, ask.part("token"), now_s=ask.now_s)
        if found is None:
            raise Sorry(
                _("This invitation does not exist, or it is too old."), _("Ask the association for a new one.")
            )
        return found

    def _join(self, ask: Ask, invited: Invitation) -> dict[str, Any]:
        return {"invited": invited, "token": ask.part("token"), "kinds": InvitedAs}

    def _entry(self, ask: Ask, invited: Invitation, public_key: bytes) -> Entry | None:
        """What the ledger has to be told of the key; None: a newcomer, whom a steward admits."""
        if invited.kind is InvitedAs.ROLE:
            identifier, time_s = new_keys.agreed_id_and_time(ask)
            return Entry(identifier, time_s, AdmitRole(role_key_id(public_key), invited.role, public_key))
        if invited.kind is not InvitedAs.ACCOUNT:
            return None
        assert invited.subject is not None
        with self._books.now() as book:
            return new_keys.rotation_to(ask, book.state, invited.subject, public_key)


def _taken_up() -> Sorry:
    return Sorry(_("This invitation was taken up already."), _("Ask for another one."))


def _subject(entry: Entry) -> bytes:
    assert isinstance(entry.body, Rotate | AdmitRole)
    return entry.body.id
