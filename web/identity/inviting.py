"""Invitations made by a command, and waiting keys signed with key files: how a commune's first people come in."""

from collections.abc import Sequence
from pathlib import Path

from aggregator.commune.directory import CommuneDirectory
from aggregator.private.store import PrivateStore
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, key_hint, new_id
from ledger.book.kinds import ROLE_NAMES
from ledger.sequencer import Refused
from web.book import refusals
from web.book.books import Books
from web.drafts import desk
from web.identity import invitations, sentences
from web.identity.invitations import Invitation, InvitedAs
from web.mail.letters import Waiting
from web.mail.smtp import NotSent, Smtp
from web.settings import WebSettings
from web.store.file import WebStore

ARRIVALS = frozenset(("takeover", "office"))
"""What drafts are for by which people come in (drafts/purposes.py)."""
ACCOUNTS = ("members", "merchants", "associations")
"""Tables of the private store whose rows have accounts."""


def invite(directory: Path, store: WebStore, wanted: Invitation, *, now_s: int) -> str:
    """The token of a new invitation. UserError if there is no such office."""
    if wanted.kind is InvitedAs.ROLE and wanted.role not in ROLE_NAMES:
        raise UserError(
            _("there is no office {role!r}").format(role=wanted.role),
            where=directory,
            to_do=_("name one of: {roles}").format(roles=", ".join(ROLE_NAMES)),
        )
    with store.transaction() as connection:
        return invitations.make(connection, wanted, now_s=now_s)


def send(directory: Path, read: WebSettings, wanted: Invitation, url: str, *, now_s: int) -> bool:
    """Send an invitation's link to its address, now: nobody may be there to do it later. Whether it was sent, which
    wants an address and an SMTP server. UserError if the server does not take it."""
    title = CommuneDirectory(directory).load().title
    smtp = Smtp.of(read, title) if wanted.email else None
    if smtp is None or not wanted.email:
        return False
    letter = sentences.invitation(wanted.email, wanted.name, url, title)
    try:
        with smtp.line() as line:
            line.send(Waiting(int.from_bytes(new_id()[:6]), letter, now_s, 0))
    except NotSent as error:
        raise UserError(
            _("the letter was not sent: {why}").format(why=error),
            where=read.mail_host,
            to_do=_("the link above is good all the same: hand it over"),
        ) from error
    return True


def account_of(directory: Path, name: str) -> bytes:
    """The account of somebody who is admitted, by name or id. UserError if nobody has it."""
    private = PrivateStore(CommuneDirectory(directory).private_db)
    for table in ACCOUNTS:
        for person in private.people(table):
            if name in (person.name, person.id.hex()):
                return person.id
    raise UserError(
        _("nobody is called {name!r}").format(name=name),
        where=directory,
        to_do=_("write the name as in the roster, or add --new for somebody whom a steward will admit"),
    )


def sign_waiting(
    books: Books, store: WebStore, keys: Sequence[SigningKey], *, purposes: frozenset[str] | None = None
) -> list[int]:
    """Give each waiting draft the signatures that these keys may give; the places of what was placed by it.

    `purposes`: of drafts that are meant; None: all.
    """
    with store.transaction() as connection:
        drafts = [draft for draft in desk.waiting(connection) if purposes is None or draft.purpose in purposes]
    placed = []
    for draft in drafts:
        for key in keys:
            with books.now() as book:
                asked, genesis = desk.asks(book.state, draft, key.public_key), book.state.genesis_sha256
            if asked is None:
                continue
            if not asked.is_last:
                signed = draft.entry.approve(key, genesis)
                draft.approvals[key_hint(key.public_key)] = signed
                with store.transaction() as connection:
                    desk.add_approval(connection, draft.entry.id, key_hint(key.public_key), signed)
                continue
            (answer,) = books.submit(asked.whole.sign(key, genesis))
            if isinstance(answer, Refused):
                says, to_do = refusals.sentence(answer.refusal)
                raise UserError(says, to_do=to_do)
            with store.transaction() as connection:
                desk.end(connection, draft.entry.id, f"placed {answer.place}")
            placed.append(answer.place)
            break
    return placed
