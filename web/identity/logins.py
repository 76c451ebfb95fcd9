"""Who may sign in, and which browsers are: rows of web.db. Tokens are random, and kept as SHA-256 only."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from commonwatt.identity import new_id
from web.store.schema import login, passkey, session

SESSION_S = 30 * 86_400
"""How long a browser stays signed in that does not come back."""
SEEN_EVERY_S = 3600
"""How often a visit is written down: a page costs no write otherwise."""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who may sign in. `subject`: their account, or the id of their role's key."""

    id: bytes
    subject: bytes
    name: str
    email: str | None
    language: str


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in. `token_sha256` names it and lets nobody in."""

    token_sha256: bytes
    browser: str
    created_s: int
    seen_s: int


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


def rename(connection: sa.Connection, identifier: bytes, name: str) -> None:
    """Call somebody by another name."""
    connection.execute(sa.update(login).where(login.c.id == identifier).values(name=name))


def remove(connection: sa.Connection, who: Login) -> None:
    """Forget somebody who was turned away, and sign them out."""
    end_sessions(connection, who)
    connection.execute(sa.delete(login).where(login.c.id == who.id))


def open_session(connection: sa.Connection, who: Login, *, now_s: int, browser: str = "") -> str:
    """A fresh session; its token, for the cookie. `browser`: what its reader will know it by."""
    token = new_token()
    connection.execute(sa.delete(session).where(session.c.expires_s <= now_s))
    times = {"created_s": now_s, "seen_s": now_s, "expires_s": now_s + SESSION_S}
    row = {"token_sha256": digest(token), "login": who.id, "browser": browser}
    connection.execute(sa.insert(session).values(**row, **times))
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


def sessions(connection: sa.Connection, who: Login, *, now_s: int) -> list[Session]:
    """The browsers that are signed in, the one seen last first."""
    this = sa.select(session).where(session.c.login == who.id, session.c.expires_s > now_s)
    rows = connection.execute(this.order_by(session.c.seen_s.desc(), session.c.created_s.desc()))
    return [Session(row.token_sha256, row.browser, row.created_s, row.seen_s) for row in rows]


def end_other(connection: sa.Connection, who: Login, token_sha256: bytes) -> None:
    """Sign one of somebody's browsers out."""
    connection.execute(sa.delete(session).where(session.c.login == who.id, session.c.token_sha256 == token_sha256))


def signed_in_s(connection: sa.Connection, token: str) -> int:
    """When this session began; 0 if it is none."""
    this = session.c.token_sha256 == digest(token)
    return connection.execute(sa.select(session.c.created_s).where(this)).scalar_one_or_none() or 0


def set_email(connection: sa.Connection, who: Login, email: str) -> None:
    """Where links are sent from now on."""
    connection.execute(sa.update(login).where(login.c.id == who.id).values(email=email))


def set_language(connection: sa.Connection, who: Login, language: str) -> None:
    """What letters are written in, and what the next browser begins with."""
    connection.execute(sa.update(login).where(login.c.id == who.id).values(language=language))


@dataclass(frozen=True, slots=True)
class SeenLogin:
    """For those who run the commune. `seen_s`: of the last visit that a browser still signed in has made."""

    who: Login
    created_s: int
    seen_s: int | None
    browsers: int
    passkeys: int


def everybody(connection: sa.Connection, *, now_s: int) -> list[SeenLogin]:
    """Everybody who may sign in, by name."""
    found = []
    for row in connection.execute(_LOGIN.add_columns(login.c.created_s).order_by(login.c.name)):
        who = _login(row)
        assert who is not None
        browsers = sessions(connection, who, now_s=now_s)
        count = sa.select(sa.func.count()).select_from(passkey).where(passkey.c.login == who.id)
        seen_s = browsers[0].seen_s if browsers else None
        keys = connection.execute(count).scalar_one()
        found.append(SeenLogin(who, row.created_s, seen_s, len(browsers), keys))
    return found


def end_session(connection: sa.Connection, token: str) -> None:
    """Sign a browser out."""
    connection.execute(sa.delete(session).where(session.c.token_sha256 == digest(token)))


def end_sessions(connection: sa.Connection, who: Login) -> None:
    """Sign every browser out."""
    connection.execute(sa.delete(session).where(session.c.login == who.id))


_LOGIN = sa.select(login.c.id, login.c.subject, login.c.name, login.c.email, login.c.language)


def _login(row: "sa.Row[*tuple[Any, ...]] | None") -> Login | None:
    return None if row is None else Login(row.id, row.subject, row.name, row.email, row.language)
