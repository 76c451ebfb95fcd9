"""Links that are good once and for minutes: rows of web.db, tokens as SHA-256 only."""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from web.identity.logins import digest, new_token
from web.store.schema import link

LINK_S = 15 * 60


class Purpose(StrEnum):
    """What a link does."""

    ENTER = "enter"  # whoever has the address signs in
    EMAIL = "email"  # the login's letters go to the address from now on
    SECOND = "second"  # another browser of the login becomes its second device


@dataclass(frozen=True, slots=True)
class Link:
    """`login`: of EMAIL and SECOND; ENTER is for everybody who has the address."""

    purpose: Purpose
    email: str
    login: bytes | None = None


def make(connection: sa.Connection, wanted: Link, *, now_s: int) -> str:
    """A new link's token; links that are too old go."""
    token = new_token()
    connection.execute(sa.delete(link).where(link.c.expires_s <= now_s))
    row = {"purpose": wanted.purpose.value, "login": wanted.login, "email": wanted.email}
    connection.execute(sa.insert(link).values(token_sha256=digest(token), expires_s=now_s + LINK_S, **row))
    return token


def find(connection: sa.Connection, token: str, *, now_s: int) -> Link | None:
    """What a link does; None: it was used, is too old, or was never made."""
    this = sa.select(link).where(link.c.token_sha256 == digest(token), link.c.expires_s > now_s)
    row = connection.execute(this).one_or_none()
    return None if row is None else Link(Purpose(row.purpose), row.email, row.login)


def forget(connection: sa.Connection, login: bytes, purpose: Purpose) -> None:
    """Those that a login has of a purpose are good no more."""
    this = sa.delete(link).where(link.c.login == login, link.c.purpose == purpose.value)
    connection.execute(this)


def use_up(connection: sa.Connection, token: str) -> bool:
    """It is good no more. False: it was not any more, for somebody was quicker."""
    return connection.execute(sa.delete(link).where(link.c.token_sha256 == digest(token))).rowcount == 1
