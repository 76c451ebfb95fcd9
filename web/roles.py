"""Who somebody is for these pages: decided by the ledger, each time anew."""

from enum import StrEnum

from commonwatt.registry import Status
from ledger.book.kinds import Subject
from ledger.book.state import State


class Role(StrEnum):
    """What a visitor may be. `ANYBODY` has not signed in; `WAITING` has, and the ledger does not know them yet."""

    ANYBODY = "anybody"
    WAITING = "waiting"
    RESIDENT = "resident"
    MERCHANT = "merchant"
    STEWARD = "steward"
    TOWNHALL = "townhall"
    OPERATOR = "operator"
    AUDITOR = "auditor"


EVERYBODY = frozenset(Role)
MEMBERS = frozenset((Role.RESIDENT, Role.MERCHANT))
"""Who has an account of their own; the association's own account counts as a merchant's."""
OFFICES = frozenset((Role.STEWARD, Role.TOWNHALL, Role.OPERATOR))
"""Roles of the constitution whose signatures an entry may need."""
SIGNED_IN = EVERYBODY - {Role.ANYBODY}

_OF_SUBJECT = {
    Subject.MEMBER: Role.RESIDENT,
    Subject.MERCHANT: Role.MERCHANT,
    Subject.ASSOCIATION: Role.MERCHANT,
}
_OF_OFFICE = {role.value: role for role in (*OFFICES, Role.AUDITOR)}


def role_of(state: State, subject: bytes) -> Role:
    """The role of an account or of a role key's id; who was revoked, or not admitted yet, waits."""
    held = state.founded.ids.get(subject)
    if held is not None:
        return _OF_OFFICE.get(held.role, Role.WAITING)
    found = state.admissions.account(subject)
    if found is None or found[1] is Status.REVOKED:
        return Role.WAITING
    return _OF_SUBJECT[found[0].subject]


def key_of(state: State, subject: bytes) -> bytes | None:
    """The public key that signs for a subject now: an account's wallet, or the role's key."""
    held = state.founded.ids.get(subject)
    if held is not None:
        return held.public_key
    found = state.admissions.account(subject)
    return None if found is None else found[0].wallet
