"""Who may help an account to a new key, and how far that is: read from the ledger's state and a draft. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt.identity import key_hint
from ledger.book.body import Guard, Rotate
from ledger.book.state import State
from web.drafts.desk import Draft
from web.guard.keys import GuardKey, GuardKind

K = 2
"""Of the printed code, the second devices and the association: so many give a new key."""
DEVICES_MAX = 6
PROPOSAL_S = 3600
"""How long a second device waits to be confirmed: a stranger's must not stand there for ever."""


@dataclass(frozen=True, slots=True)
class Helper:
    """A key of the guard. `has_signed`: it agrees to the draft."""

    public_key: bytes
    kind: GuardKind
    name: str
    created_s: int
    has_signed: bool


def helpers(state: State, account: bytes, known: Sequence[GuardKey], draft: Draft | None) -> list[Helper]:
    """The keys that count in the ledger; one that web.db has forgotten is a device without a name."""
    guard = state.admissions.guards.get(account)
    by_key = {key.public_key: key for key in known}
    signed = draft.approvals if draft is not None else {}
    found = []
    for public_key in guard.public_keys if guard is not None else ():
        key = by_key.get(public_key) or GuardKey(public_key, GuardKind.DEVICE, "", 0)
        found.append(Helper(public_key, key.kind, key.name, key.created_s, key_hint(public_key) in signed))
    return sorted(found, key=lambda helper: helper.kind is not GuardKind.CODE)


def proposals(state: State, account: bytes, known: Sequence[GuardKey], *, now_s: int) -> list[GuardKey]:
    """Second devices that made a key just now and are not named in the ledger."""
    guard = state.admissions.guards.get(account)
    counted = guard.public_keys if guard is not None else ()

    def is_new(key: GuardKey) -> bool:
        return key.kind is GuardKind.DEVICE and now_s - key.created_s < PROPOSAL_S

    return [key for key in known if is_new(key) and key.public_key not in counted]


def has_association_signed(state: State, draft: Draft) -> bool:
    """Whether a steward agrees to it."""
    return any(held is not None and held.role == "steward" for held in map(state.founded.keys.get, draft.approvals))


def guard_with(
    account: bytes, now: Sequence[Helper], *, added: GuardKey | None = None, dropped: bytes | None = None
) -> Guard:
    """The guard that replaces this one. A new code takes the place of the old one, which may lie anywhere."""
    kept = [
        helper.public_key
        for helper in now
        if helper.public_key != dropped
        and not (added is not None and added.kind is helper.kind is GuardKind.CODE)
        and not (added is not None and added.public_key == helper.public_key)
    ]
    keys = (*kept, added.public_key) if added is not None else tuple(kept)
    return Guard(account, K if keys else 0, keys)


def rotation(drafts: Sequence[Draft], subject: bytes) -> Draft | None:
    """The newest draft that waits to give a subject a new key."""
    found = [draft for draft in drafts if draft.about == subject and isinstance(draft.entry.body, Rotate)]
    return found[-1] if found else None
