"""Who may sign in, and which browsers are: rows of web.db. Tokens are random, and kept as SHA-256 only."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from commonwatt.identity import new_id
from web.store.schema import login, mail_link, session

SESSION_S = 30 * 86_400
"""How long a browser stays signed in that does not come back."""
SEEN_EVERY_S = 3600
"""How often a visit is written down: a page costs no write otherwise."""
MAIL_LINK_S = 15 * 60


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who may sign in. `subject`: their account, or the id of their role's key."""

    id: bytes
    subject: bytes
    name: str
    email: str | None
    language: str


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """256 random bits, as they stand in links and cookies."""
    return secrets.token_urlsafe(32)


def csrf_of(token: str) -> str:
    """What forms of a session carry, so that no other site can post them."""
    return hmac.new(token.encode(), b"csrf", "sha256").hexdigest()


def add(connection: sa.Connection, *, subject: bytes, name: str, email: str | None, now_s: int) -> Login:
    """The login of a subject, made if there is none yet."""
    found = of_subject(connection, subject)
    if found is not None:
        return found
    made = Login(new_id(), subject, name, email or None, "")
    row = {"id": made.id, "subject": subject, "name": name, "email": made.email, "created_s": now_s}
    connection.execute(sa.insert(login).values(row))
    return made


def of_subject(connection: sa.Connection, subject: bytes) -> Login | None:
    """Who signs in for an account or role key."""
    return _login(connection.execute(_LOGIN.where(login.c.subject == subject)).one_or_none())


def of_id(connection: sa.Connection, identifier: bytes) -> Login | None:
    """The login with an id."""
    return _login(connection.execute(_LOGIN.where(login.c.id == identifier)).one_or_none())


def of_email(connection: sa.Connection, email: str) -> list[Login]:
    """Everybody with an address: a family may share one."""
    is_it = sa.func.lower(login.c.email) == email.strip().lower()
    return [found for row in connection.execute(_LOGIN.where(is_it)) if (found := _login(row))]


def open_session(connection: sa.Connection, who: Login, *, now_s: int) -> str:
    """A fresh session; its token, for the cookie."""
    token = new_token()
    connection.execute(sa.delete(session).where(session.c.expires_s <= now_s))
    times = {"created_s": now_s, "seen_s": now_s, "expires_s": now_s + SESSION_S}
    connection.execute(sa.insert(session).values(token_sha256=digest(token), login=who.id, **times))
    return token


def of_session(connection: sa.Connection, token: str, *, now_s: int) -> Login | None:
    """Who a cookie belongs to. A visit keeps the session open for another SESSION_S."""
    this = session.c.token_sha256 == digest(token)
    row = connection.execute(sa.select(session).where(this, session.c.expires_s > now_s)).one_or_none()
    if row is None:
        return None
    if now_s - row.seen_s >= SEEN_EVERY_S:
        times = {"seen_s": now_s, "expires_s": now_s + SESSION_S}
        connection.execute(sa.update(session).where(this).values(times))
    return of_id(connection, row.login)


def end_session(connection: sa.Connection, token: str) -> None:
    """Sign a browser out."""
    connection.execute(sa.delete(session).where(session.c.token_sha256 == digest(token)))


def end_sessions(connection: sa.Connection, who: Login) -> None:
    """Sign every browser out."""
    connection.execute(sa.delete(session).where(session.c.login == who.id))


def make_mail_link(connection: sa.Connection, who: Login, *, now_s: int) -> str:
    """The token of a link that signs in once, soon."""
    token = new_token()
    connection.execute(sa.delete(mail_link).where(mail_link.c.expires_s <= now_s))
    connection.execute(
        sa.insert(mail_link).values(token_sha256=digest(token), login=who.id, expires_s=now_s + MAIL_LINK_S)
    )
    return token


def use_mail_link(connection: sa.Connection, token: str, *, now_s: int) -> Login | None:
    """Whose link it is; it is used up. None: it was used before, is too old, or was never sent."""
    this = mail_link.c.token_sha256 == digest(token)
    row = connection.execute(sa.select(mail_link).where(this, mail_link.c.expires_s > now_s)).one_or_none()
    connection.execute(sa.delete(mail_link).where(this))
    return None if row is None else of_id(connection, row.login)


_LOGIN = sa.select(login.c.id, login.c.subject, login.c.name, login.c.email, login.c.language)


def _login(row: "sa.Row[*tuple[Any, ...]] | None") -> Login | None:
    return None if row is None else Login(row.id, row.subject, row.name, row.email, row.language)
