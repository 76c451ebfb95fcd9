"""Notices that wait to be taken by a push service: rows of web.db, put there in the transaction of what they tell."""

from dataclasses import dataclass

import sqlalchemy as sa

from web.notices.choices import Device, device, forget
from web.notices.service import NotTaken, PushService
from web.store.file import WebStore
from web.store.schema import push

KEPT_S = 86_400
"""A device that is off for longer is told no more: its owner sees it on the first page."""
RETRY_S, RETRY_S_MAX = 30, 3600
BATCH = 20
"""Sent in one look: e-mails wait for it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice in the queue, and whether its browser is still subscribed."""

    number: int
    device: Device | None
    endpoint: str
    payload: str
    expires_s: int
    tries: int


def put(connection: sa.Connection, to: Device, payload: str, *, now_s: int) -> None:
    """Let a browser be told."""
    times = {"expires_s": now_s + KEPT_S, "next_s": now_s, "tries": 0}
    connection.execute(sa.insert(push).values(endpoint=to.endpoint, payload=payload, **times))


def due(connection: sa.Connection, *, now_s: int) -> list[Waiting]:
    """Those to be sent now, the oldest first; what is too old is dropped."""
    connection.execute(sa.delete(push).where(push.c.expires_s <= now_s))
    rows = connection.execute(
        sa.select(push).where(push.c.next_s <= now_s).order_by(push.c.number).limit(BATCH)
    ).all()
    return [
        Waiting(row.number, device(connection, row.endpoint), row.endpoint, row.payload, row.expires_s, row.tries)
        for row in rows
    ]


class Sending:
    """A round of the postman: sends what is due."""

    def __init__(self, store: WebStore, service: PushService) -> None:
        self._store, self._service = store, service

    def __call__(self, now_s: int) -> None:
        """One look."""
        with self._store.transaction() as connection:
            waiting = due(connection, now_s=now_s)
        for one in waiting:
            failure = self._send(one, now_s)
            with self._store.transaction() as connection:
                _settle(connection, one, failure, now_s)

    def _send(self, one: Waiting, now_s: int) -> NotTaken | None:
        if one.device is None:
            return NotTaken("unsubscribed", is_gone=True)
        try:
            self._service.send(one.device, one.payload, for_s=one.expires_s - now_s)
        except NotTaken as error:
            return error
        return None


def _settle(connection: sa.Connection, one: Waiting, failure: NotTaken | None, now_s: int) -> None:
    this = push.c.number == one.number
    if failure is not None and failure.is_gone:
        forget(connection, one.endpoint)
        connection.execute(sa.delete(push).where(push.c.endpoint == one.endpoint))
    elif failure is None or failure.is_final:
        connection.execute(sa.delete(push).where(this))
    else:
        pause_s = min(RETRY_S * 4**one.tries, RETRY_S_MAX)
        connection.execute(sa.update(push).where(this).values(tries=one.tries + 1, next_s=now_s + pause_s))
