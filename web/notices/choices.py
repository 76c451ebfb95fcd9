"""Who wants to be told of what, and on which devices: rows of web.db."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from web.identity.logins import new_token
from web.notices.kinds import Kind
from web.store.schema import notice_off, push_device, unsubscription

DEVICES_MAX = 10
"""Of one login; the one that came first goes when another comes."""


@dataclass(frozen=True, slots=True)
class Device:
    """A browser's subscription at its maker's push service. `p256dh`, `auth`: as the browser spells them."""

    endpoint: str
    p256dh: str
    auth: str


def off(connection: sa.Connection, login: bytes) -> set[Kind]:
    """What somebody has switched off."""
    found = connection.execute(sa.select(notice_off.c.kind).where(notice_off.c.login == login)).scalars()
    return {Kind(kind) for kind in found if kind in set(Kind)}


def switch(connection: sa.Connection, login: bytes, kinds: Iterable[Kind], on: Iterable[Kind]) -> None:
    """Let of `kinds` only those be told that are `on`."""
    wanted, all_of_them = set(on), list(kinds)
    this = (notice_off.c.login == login) & notice_off.c.kind.in_([kind.value for kind in all_of_them])
    connection.execute(sa.delete(notice_off).where(this))
    rows = [{"login": login, "kind": kind.value} for kind in all_of_them if kind not in wanted]
    if rows:
        connection.execute(sa.insert(notice_off), rows)


def subscribe(connection: sa.Connection, login: bytes, device: Device, *, now_s: int) -> None:
    """Tell this browser too. A browser belongs to who subscribed it last."""
    forget(connection, device.endpoint)
    row = {"endpoint": device.endpoint, "p256dh": device.p256dh, "auth": device.auth}
    connection.execute(sa.insert(push_device).values(login=login, created_s=now_s, **row))
    this = sa.select(push_device.c.endpoint).where(push_device.c.login == login)
    newest_first = this.order_by(push_device.c.created_s.desc(), push_device.c.endpoint)
    for endpoint in connection.execute(newest_first.offset(DEVICES_MAX)).scalars().all():
        forget(connection, endpoint)


def forget(connection: sa.Connection, endpoint: str) -> None:
    """Tell a browser no more."""
    connection.execute(sa.delete(push_device).where(push_device.c.endpoint == endpoint))


def devices(connection: sa.Connection, login: bytes) -> list[Device]:
    """The browsers of somebody."""
    rows = connection.execute(sa.select(push_device).where(push_device.c.login == login))
    return [Device(row.endpoint, row.p256dh, row.auth) for row in rows]


def device(connection: sa.Connection, endpoint: str) -> Device | None:
    """The browser at an endpoint."""
    row = connection.execute(sa.select(push_device).where(push_device.c.endpoint == endpoint)).one_or_none()
    return None if row is None else Device(row.endpoint, row.p256dh, row.auth)


def unsubscribe_token(connection: sa.Connection, login: bytes) -> str:
    """What stands in the letters' link that ends them: the same in each, so that an old letter can end them too."""
    this = unsubscription.c.login == login
    found = connection.execute(sa.select(unsubscription.c.token).where(this)).scalar_one_or_none()
    if found is not None:
        return str(found)
    token = new_token()
    connection.execute(sa.insert(unsubscription).values(login=login, token=token))
    return token


def of_token(connection: sa.Connection, token: str) -> bytes | None:
    """Whose letters a link ends."""
    this = sa.select(unsubscription.c.login).where(unsubscription.c.token == token)
    return connection.execute(this).scalar_one_or_none()


def subscribed(connection: sa.Connection) -> list[bytes]:
    """The logins that have a browser to be told on."""
    this = sa.select(push_device.c.login).distinct().order_by(push_device.c.login)
    return list(connection.execute(this).scalars())
