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


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody's signature would do to a draft. `is_last`: it would then go to the ledger."""

    is_last: bool


def asks(state: State, draft: Draft, key: bytes) -> Ask | None:
    """What a key's signature would do to a draft; None: it is not asked for, or is there already."""
    hint, body = key_hint(key), draft.entry.body
    if hint in draft.approvals:
        return None
    if isinstance(body, Redeem):
        return _ask_of_redemption(state, draft, body, key)
    if isinstance(body, Rotate):
        if key == key_of(state, body.id):
            return Ask(is_last=True)  # the old key alone suffices
        guard = state.admissions.guards.get(body.id)
        if guard is not None and (key in guard.public_keys or _role(state, hint) == "steward"):
            votes = len(draft.approvals.keys() - {key_hint(body.public_key)})
            return Ask(is_last=votes + 1 >= guard.k)
    return _ask_of_roles(state, draft, hint)


def _ask_of_roles(state: State, draft: Draft, hint: bytes) -> Ask | None:
    """By the constitution's quorum: `k` different roles."""
    quorum = state.founded.genesis.quorum(quorum_kind(draft.entry.body))
    role = _role(state, hint)
    signed = roles_of(state, draft)
    if quorum is None or role not in quorum.roles or role in signed:
        return None
    return Ask(is_last=len(signed) + 1 >= quorum.k)


def _ask_of_redemption(state: State, draft: Draft, body: Redeem, key: bytes) -> Ask | None:
    """Roles approve, then the merchant signs."""
    quorum = state.founded.genesis.quorum(draft.entry.kind)
    is_approved = quorum is not None and len(roles_of(state, draft)) >= quorum.k
    if key == key_of(state, holder_of(body.account)):
        return Ask(is_last=True) if is_approved else None
    is_asked = quorum is not None and not is_approved and _role(state, key_hint(key)) in quorum.roles
    return Ask(is_last=False) if is_asked else None


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
