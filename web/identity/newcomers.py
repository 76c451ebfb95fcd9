"""Who took up an invitation and waits to be admitted: rows of web.db."""

from dataclasses import dataclass

import sqlalchemy as sa

from web.identity import logins
from web.identity.logins import Login
from web.store.schema import newcomer


@dataclass(frozen=True, slots=True)
class Newcomer:
    """`wallet`: the public key that their browser made."""

    login: Login
    wallet: bytes
    is_merchant: bool


def add(connection: sa.Connection, login: bytes, wallet: bytes, *, is_merchant: bool) -> None:
    """Somebody came."""
    connection.execute(sa.insert(newcomer).values(login=login, wallet=wallet, is_merchant=is_merchant))


def waiting(connection: sa.Connection) -> list[Newcomer]:
    """Everybody who waits."""
    rows = connection.execute(sa.select(newcomer)).all()
    found = [(logins.of_id(connection, row.login), row) for row in rows]
    return [Newcomer(who, row.wallet, row.is_merchant) for who, row in found if who is not None]


def remove(connection: sa.Connection, login: bytes) -> None:
    """They were admitted, or turned away."""
    connection.execute(sa.delete(newcomer).where(newcomer.c.login == login))
