"""Drafts that wait for the signatures of several people: rows of web.db, and whose signature is still missing.

Everybody's signature but the last is an approval; who signs last signs the entry with the approvals in it
(docs/spec/entry.cddl). Nothing here is trusted: the ledger judges the whole entry.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from commonwatt import cbor
from commonwatt.identity import key_hint
from ledger.book import fields
from ledger.book.body import Redeem, Rotate, parse_body
from ledger.book.constitution import quorum_kind
from ledger.book.entry import Entry
from ledger.book.state import State
from ledger.book.units import holder_of
from web.roles import key_of
from web.store.schema import approval, draft

STATEMENT_SIZE_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry and the approvals it has so far, by the hint of their key. `proposed_by`: a login; `ended`: None while
    it waits."""

    entry: Entry
    purpose: str
    about: bytes | None
    proposed_by: bytes | None
    proposed_s: int
    ended: str | None
    approvals: dict[bytes, bytes]

    @property
    def whole(self) -> Entry:
        """The entry with what it has, to be signed last."""
        return self.entry.with_approvals(*self.approvals.values())


def propose(
    connection: sa.Connection,
    entry: Entry,
    *,
    purpose: str,
    about: bytes | None,
    proposed_by: bytes | None,
    now_s: int,
    approvals: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Keep a draft. `approvals`: hints of keys and what they signed."""
    statement = cbor.encode([1, int(entry.kind), entry.id, entry.time_s, entry.body.to_cbor()])
    row = {"id": entry.id, "statement": statement, "purpose": purpose, "about": about, "proposed_by": proposed_by}
    connection.execute(sa.insert(draft).values(proposed_s=now_s, **row))
    for hint, signed in approvals:
        add_approval(connection, entry.id, hint, signed)


def add_approval(connection: sa.Connection, identifier: bytes, hint: bytes, signed: bytes) -> None:
    """Keep one more signature; the same key's again changes nothing."""
    is_there = sa.select(approval.c.hint).where(approval.c.draft == identifier, approval.c.hint == hint)
    if connection.execute(is_there).one_or_none() is None:
        connection.execute(sa.insert(approval).values(draft=identifier, hint=hint, signed=signed))


def waiting(connection: sa.Connection) -> list[Draft]:
    """All that wait, the oldest first."""
    rows = connection.execute(sa.select(draft).where(draft.c.ended.is_(None)).order_by(draft.c.proposed_s)).all()
    return [_draft(connection, row) for row in rows]


def find(connection: sa.Connection, identifier: bytes) -> Draft | None:
    """The draft of an entry's id."""
    row = connection.execute(sa.select(draft).where(draft.c.id == identifier)).one_or_none()
    return None if row is None else _draft(connection, row)


def end(connection: sa.Connection, identifier: bytes, how: str) -> None:
    """It waits no more: "placed 812", "refused bad-signature", "withdrawn"."""
    connection.execute(sa.update(draft).where(draft.c.id == identifier).values(ended=how))


def supersede(connection: sa.Connection, about: bytes, but: bytes) -> None:
    """Other rotations of this subject wait no more: signed later, they would take the key away again."""
    for other in waiting(connection):
        if other.about == about and other.entry.id != but and isinstance(other.entry.body, Rotate):
            end(connection, other.entry.id, "superseded")


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody's signature would do to a draft. `is_last`: it would then go to the ledger, as `whole`: with the
    approvals that count beside this signature, for the ledger refuses an entry with one that does not."""

    is_last: bool
    whole: Entry


def asks(state: State, draft: Draft, key: bytes) -> Ask | None:
    """What a key's signature would do to a draft; None: it is not asked for, or is there already."""
    hint, body = key_hint(key), draft.entry.body
    if hint in draft.approvals:
        return None
    if isinstance(body, Redeem):
        return _ask_of_redemption(state, draft, body, key)
    if isinstance(body, Rotate):
        if key == key_of(state, body.id):
            return _last(draft, set())  # the old key alone suffices
        asked = _ask_of_guard(state, draft, body, key)
        if asked is not None and asked.is_last:
            return asked
        return _ask_of_roles(state, draft, hint) or asked
    return _ask_of_roles(state, draft, hint)


def guard_votes(state: State, draft: Draft) -> set[bytes]:
    """The hints of those who have approved a rotation as its subject's guard, or as the association beside it."""
    guard = state.admissions.guards.get(draft.about or b"")
    hints = {key_hint(key) for key in guard.public_keys} if guard is not None else set()
    return {hint for hint in draft.approvals if hint in hints or _role(state, hint) == "steward"}


def _ask_of_guard(state: State, draft: Draft, body: Rotate, key: bytes) -> Ask | None:
    """`k` of the guard's keys, where all stewards together are one more, and never stewards alone."""
    guard, hint = state.admissions.guards.get(body.id), key_hint(key)
    if guard is None or (key not in guard.public_keys and _role(state, hint) != "steward"):
        return None
    before = guard_votes(state, draft)
    hints = {key_hint(public_key) for public_key in guard.public_keys} & (before | {hint})
    votes = len(hints) + (len(hints) < len(before | {hint}))
    is_enough = bool(hints) and votes >= guard.k
    return _last(draft, before) if is_enough else Ask(False, draft.whole)


def _ask_of_roles(state: State, draft: Draft, hint: bytes) -> Ask | None:
    """By the constitution's quorum: `k` different roles."""
    quorum = state.founded.genesis.quorum(quorum_kind(draft.entry.body))
    role = _role(state, hint)
    signed = roles_of(state, draft)
    if quorum is None or role not in quorum.roles or role in signed:
        return None
    if len(signed) + 1 < quorum.k:
        return Ask(False, draft.whole)
    return _last(draft, {hint for hint in draft.approvals if _role(state, hint) in quorum.roles})


def _last(draft: Draft, hints: set[bytes]) -> Ask:
    """The last signature, beside these approvals; a rotation's new key always agrees."""
    body = draft.entry.body
    new = {key_hint(body.public_key)} if isinstance(body, Rotate) else set()
    counted = [signed for hint, signed in draft.approvals.items() if hint in hints | new]
    return Ask(True, draft.entry.with_approvals(*counted))


def _ask_of_redemption(state: State, draft: Draft, body: Redeem, key: bytes) -> Ask | None:
    """Roles approve, then the merchant signs."""
    quorum = state.founded.genesis.quorum(draft.entry.kind)
    is_approved = quorum is not None and len(roles_of(state, draft)) >= quorum.k
    if key == key_of(state, holder_of(body.account)):
        return Ask(True, draft.whole) if is_approved else None
    is_asked = quorum is not None and not is_approved and _role(state, key_hint(key)) in quorum.roles
    return Ask(False, draft.whole) if is_asked else None


def roles_of(state: State, draft: Draft) -> set[str]:
    """The roles that have approved."""
    return {role for hint in draft.approvals if (role := _role(state, hint))}


def _role(state: State, hint: bytes) -> str:
    held = state.founded.keys.get(hint)
    return held.role if held is not None else ""


def parse_statement(statement: bytes) -> Entry:
    """The entry of a statement, without approvals; FormatError if it is none."""
    value = cbor.decode(statement, size_max=STATEMENT_SIZE_MAX)
    _version, kind, entry_id, time_s, body = fields.array(value, 5, "a statement")
    return Entry(entry_id, time_s, parse_body(kind, body))


def _draft(connection: sa.Connection, row: "sa.Row[*tuple[Any, ...]]") -> Draft:
    signed = connection.execute(sa.select(approval).where(approval.c.draft == row.id).order_by(approval.c.hint)).all()
    return Draft(
        parse_statement(row.statement),
        *(row.purpose, row.about, row.proposed_by, row.proposed_s, row.ended),
        {part.hint: part.signed for part in signed},
    )
