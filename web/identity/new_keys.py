"""A browser's new key for somebody whom the ledger knows: the rotation it agrees to before others sign it."""

from commonwatt.i18n import _
from commonwatt.identity import is_valid_public_key, new_id
from ledger.book.body import Rotate
from ledger.book.entry import Entry
from ledger.book.kinds import Subject
from ledger.book.refusals import Refusal
from ledger.book.state import State
from web.drafts.signing import check_approval, read_entry
from web.spelling import unbase64
from web.visitor import Ask, Sorry


def posted_key(ask: Ask) -> bytes:
    """The public key that a browser made. Sorry if it is weak."""
    public_key = unbase64(ask.text("public_key"))
    if not is_valid_public_key(public_key):
        raise Sorry(_("This browser's key cannot be used."), _("Load the page again, or take another browser."))
    return public_key


def agreed_id_and_time(ask: Ask) -> tuple[bytes, int]:
    """Of an entry for a new key; the second time the browser says which id and time it agreed to."""
    if ask.form.get("payload"):
        agreed = read_entry(unbase64(ask.text("payload", chars_max=2000)))
        return agreed.id, agreed.time_s
    return new_id(), ask.now_s


def rotation_to(ask: Ask, state: State, subject: bytes, public_key: bytes) -> Entry:
    """The entry that gives a subject the key. Sorry if the ledger would not have it."""
    found = state.admissions.account(subject)
    kind = Subject.ROLE if subject in state.founded.ids else found[0].subject if found is not None else None
    if kind is None:
        raise Sorry(_("This account is not there any more."), _("Ask the association."))
    body = Rotate(kind, subject, public_key)
    if isinstance(state.admissions.check_rotation(body), Refusal):
        raise Sorry(_("This account cannot get a new key: it is closed."), _("Ask the association."))
    if state.admissions.check_new_key(public_key) is not None:
        raise Sorry(_("This key was used before."), _("Load the page again, or take another browser."))
    return Entry(*agreed_id_and_time(ask), body)


def approval_of(ask: Ask, entry: Entry, public_key: bytes, genesis: bytes) -> bytes:
    """The browser's signature that it has this key. Sorry if it is not one."""
    signed = unbase64(ask.text("approval", chars_max=1000))
    check_approval(signed, entry, public_key, genesis)
    return signed
