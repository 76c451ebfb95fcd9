"""The public keys of printed codes and second devices, with what their owner calls them: rows of web.db.

A key counts when the holder's own entry in the ledger names it (kind 9, guard); before that it is a proposal.
"""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from web.identity.logins import Login
from web.store.schema import guard_key

SHOWN_MAX = 20


class GuardKind(StrEnum):
    """Where the private half is."""

    CODE = "code"  # on paper
    DEVICE = "device"  # in another browser


@dataclass(frozen=True, slots=True)
class GuardKey:
    """`name`: of a device, "" for a code."""

    public_key: bytes
    kind: GuardKind
    name: str
    created_s: int


def add(connection: sa.Connection, who: Login, key: GuardKey) -> None:
    """Remember one; the same again changes nothing."""
    there = connection.execute(sa.select(guard_key.c.login).where(guard_key.c.public_key == key.public_key))
    if there.one_or_none() is not None:
        return
    row = {"kind": key.kind.value, "name": key.name, "created_s": key.created_s}
    connection.execute(sa.insert(guard_key).values(public_key=key.public_key, login=who.id, **row))


def of_login(connection: sa.Connection, who: Login) -> list[GuardKey]:
    """Theirs, the newest first."""
    this = sa.select(guard_key).where(guard_key.c.login == who.id).order_by(guard_key.c.created_s.desc())
    rows = connection.execute(this.limit(SHOWN_MAX))
    return [GuardKey(row.public_key, GuardKind(row.kind), row.name, row.created_s) for row in rows]
