"""/recover: a browser without the key gets a new one, when two of three agree, or the browser that has the key."""

from starlette.responses import JSONResponse, Response

from commonwatt.i18n import _, speaking
from commonwatt.identity import key_hint
from ledger.book.body import Rotate
from ledger.book.entry import Entry
from web.address import Address
from web.allowance import Allowance
from web.book.books import Books
from web.door import Page
from web.drafts import desk
from web.drafts.desk import Draft
from web.drafts.signatures import Signatures
from web.drafts.signing import to_sign
from web.facts import Facts
from web.guard import helpers, keys
from web.guard.keys import GuardKey, GuardKind
from web.identity import new_keys, sentences
from web.looks import Looks, Words
from web.mail import letters
from web.mail.postman import Postman
from web.roles import MEMBERS, SIGNED_IN, Role
from web.spelling import base64url, unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry

RECOVERERS = SIGNED_IN - {Role.WAITING}
"""Whoever the ledger knows; who waits to be admitted joins anew."""

ATTEMPTS_PER_DAY = 20
"""Each sends its owner a letter, and is a row that stays."""


class RecoverPages:
    """Routes of getting a new key."""

    def __init__(
        self, store: WebStore, books: Books, looks: Looks, facts: Facts, *, address: Address, postman: Postman
    ) -> None:
        self._store, self._books, self._looks, self._facts = store, books, looks, facts
        self._address, self._postman = address, postman
        self._signatures = Signatures(store, books, facts)
        self._allowance = Allowance(ATTEMPTS_PER_DAY)

    def pages(self) -> list[Page]:
        """Every address of it."""
        return [
            Page("recover", "/recover", RECOVERERS, get=self.recover, post=self.begin),
            Page("recover-state", "/recover/state", RECOVERERS, get=self.state),
            Page("recover-sign", "/recover/sign", RECOVERERS, post=self.sign),
            Page("recover-stop", "/recover/stop", RECOVERERS, post=self.stop),
        ]

    def recover(self, ask: Ask) -> Response:
        """What this browser may do about it; which browser it is, only its own module knows."""
        draft, known = self._draft(ask), self._known(ask)
        with self._books.now() as book:
            found = helpers.helpers(book.state, ask.visitor.subject, known, draft)
            association = draft is not None and helpers.has_association_signed(book.state, draft)
        values = {
            "draft": draft,
            "new_key": base64url(_new_key(draft)) if draft else "",
            "helpers": found,
            "guard_keys": [base64url(helper.public_key) for helper in found],
            "has_code": any(helper.kind is GuardKind.CODE and not helper.has_signed for helper in found),
            "association": association,
            "kinds": GuardKind,
            "is_member": ask.visitor.role in MEMBERS,
            "url": f"{self._address.url(ask.request)}/recover",
        }
        return self._looks.answer(ask, "guard/recover.html", lambda words: {**values, "when": _when(draft, words)})

    def state(self, ask: Ask) -> Response:
        """What a page asks again and again while it waits: whether its key counts, waits, or did count."""
        asked = unbase64(ask.request.query_params.get("key", ""))
        draft = self._draft(ask)
        with self._books.now() as book:
            was = bool(asked) and key_hint(asked) in book.state.admissions.rotated
            signed = len(draft.approvals) if draft else 0
        if asked and asked == ask.visitor.key:
            told = "current"
        elif draft is not None and asked == _new_key(draft):
            told = "waiting"
        else:
            told = "replaced" if was else "none"
        return JSONResponse({"state": told, "signed": signed}, headers={"Cache-Control": "no-store"})

    def begin(self, ask: Ask) -> Response:
        """A browser's new key: it agrees to the draft first, then others are asked. An older attempt ends."""
        public_key = new_keys.posted_key(ask)
        draft = self._draft(ask)
        if draft is not None and _new_key(draft) == public_key:
            return JSONResponse({"next": "/recover"})
        with self._books.now() as book:
            entry = new_keys.rotation_to(ask, book.state, ask.visitor.subject, public_key)
        if not ask.form.get("approval"):
            return JSONResponse(to_sign(entry, self._facts, is_approval=True))
        approval = new_keys.approval_of(ask, entry, public_key, self._facts.genesis)
        self._allowance.take(ask)
        self._propose(ask, entry, (key_hint(public_key), approval))
        return JSONResponse({"next": "/recover"})

    def _propose(self, ask: Ask, entry: Entry, approval: tuple[bytes, bytes]) -> None:
        who = ask.visitor.login
        assert who is not None
        with self._store.transaction() as connection:
            desk.supersede(connection, ask.visitor.subject, entry.id)
            desk.propose(
                connection,
                entry,
                purpose="recover",
                about=ask.visitor.subject,
                proposed_by=who.id,
                now_s=ask.now_s,
                approvals=(approval,),
            )
            if who.email and self._postman.has_mail:
                with speaking(who.language or ask.language):
                    url = f"{self._address.url(ask.request)}/recover"
                    letter = sentences.recovery_begun(who.email, url, self._facts.title)
                letters.put(connection, letter, now_s=ask.now_s)

    def sign(self, ask: Ask) -> Response:
        """A signature by a key that may help: of a second device, of a printed code, or the one there is now."""
        draft, key = self._draft(ask), unbase64(ask.text("public_key"))
        if draft is None:
            raise Sorry(_("Nobody asks for a new key any more."), _("Load the page again."))
        with self._books.now() as book:
            found = helpers.helpers(book.state, ask.visitor.subject, self._known(ask), draft)
        if key != ask.visitor.key and key not in [helper.public_key for helper in found]:
            raise Sorry(
                _("This code or device is not one of those that you named."),
                _("If you made a new code later, only the new one counts."),
            )
        return self._signatures.take(ask, draft, key, leads_to="/recover")

    def stop(self, ask: Ask) -> Response:
        """It was not them, or they found the old key."""
        draft = self._draft(ask)
        if draft is not None:
            with self._store.transaction() as connection:
                desk.end(connection, draft.entry.id, "withdrawn")
        return self._looks.said(
            ask,
            lambda: (
                _("The request for a new key is stopped."),
                _("If it was not yours, sign out all other browsers on the page “Me”, and tell the association."),
            ),
        )

    def _draft(self, ask: Ask) -> Draft | None:
        with self._store.transaction() as connection:
            return helpers.rotation(desk.waiting(connection), ask.visitor.subject)

    def _known(self, ask: Ask) -> list[GuardKey]:
        assert ask.visitor.login is not None
        with self._store.transaction() as connection:
            return keys.of_login(connection, ask.visitor.login)


def _new_key(draft: Draft) -> bytes:
    assert isinstance(draft.entry.body, Rotate)
    return draft.entry.body.public_key


def _when(draft: Draft | None, words: Words) -> str:
    return words.moment(draft.proposed_s) if draft else ""
