"""Invitations: one-use links by which a browser takes up an account or a role. Rows of web.db.

A browser that follows one makes its own key. The key then waits for the signatures that the ledger asks for: for an
account that is there, those that may change its key; for a role, the quorum; a newcomer is admitted by a steward.
"""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from web.identity.logins import digest, new_token
from web.store.schema import invitation

INVITATION_S = 14 * 86_400


class InvitedAs(StrEnum):
    """What an invitation is to."""

    ACCOUNT = "account"  # an account that is admitted gets a key in this browser
    NEWCOMER = "newcomer"  # somebody whom a steward will admit
    MERCHANT = "merchant"  # the same, with a shop
    ROLE = "role"  # a key for an office: steward, townhall, operator, auditor


@dataclass(frozen=True, slots=True)
class Invitation:
    """`subject`: the account to take up; None: it is made when somebody comes. `role`: of ROLE."""

    kind: InvitedAs
    subject: bytes | None
    role: str
    name: str
    email: str | None
    login: bytes | None


def make(connection: sa.Connection, wanted: Invitation, *, now_s: int) -> str:
    """A new link's token."""
    token = new_token()
    row = {"kind": wanted.kind.value, "subject": wanted.subject, "role": wanted.role, "name": wanted.name}
    connection.execute(
        sa.insert(invitation).values(
            token_sha256=digest(token), email=wanted.email, expires_s=now_s + INVITATION_S, **row
        )
    )
    return token


def find(connection: sa.Connection, token: str, *, now_s: int) -> Invitation | None:
    """The invitation of a link; None: too old, or never made."""
    this = invitation.c.token_sha256 == digest(token)
    row = connection.execute(sa.select(invitation).where(this, invitation.c.expires_s > now_s)).one_or_none()
    if row is None:
        return None
    return Invitation(InvitedAs(row.kind), row.subject, row.role, row.name, row.email, row.login)


def take_up(connection: sa.Connection, token: str, login: bytes, subject: bytes) -> bool:
    """Note who came: nobody else can take it up. False: somebody was quicker."""
    this = sa.update(invitation).where(invitation.c.token_sha256 == digest(token), invitation.c.login.is_(None))
    return connection.execute(this.values(login=login, subject=subject)).rowcount == 1
