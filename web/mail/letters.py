"""Letters that wait to be sent: rows of web.db, put there in the transaction of what they tell."""

import re
from dataclasses import dataclass

import sqlalchemy as sa

from web.store.schema import letter

LETTER_S = 3 * 86_400
"""How long a letter is tried that names no end of its own."""
RETRY_S, RETRY_S_MAX = 60, 4 * 3600
"""The first pause after a failure, which grows fourfold up to the longest."""
ADDRESS_CHARS_MAX = 254
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+\.[^\s@<>()\[\],;:\\\".]+")


@dataclass(frozen=True, slots=True)
class Letter:
    """Plain text to one address. `unsubscribe_url`: where its reader switches such letters off (RFC 8058)."""

    recipient: str
    subject: str
    text: str
    unsubscribe_url: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter in the queue."""

    number: int
    letter: Letter
    created_s: int
    tries: int


def is_address(text: str) -> bool:
    """Whether something looks like an e-mail address; only sending to it tells more."""
    return len(text) <= ADDRESS_CHARS_MAX and text.isprintable() and _ADDRESS.fullmatch(text) is not None


def put(connection: sa.Connection, wanted: Letter, *, now_s: int, for_s: int = LETTER_S) -> None:
    """Let a letter be sent; `for_s`: how long it is worth anything."""
    row = {"recipient": wanted.recipient, "subject": wanted.subject, "text": wanted.text}
    times = {"created_s": now_s, "expires_s": now_s + for_s, "next_s": now_s, "tries": 0}
    connection.execute(sa.insert(letter).values(unsubscribe_url=wanted.unsubscribe_url, **row, **times))


def due(connection: sa.Connection, *, now_s: int, count_max: int) -> list[Waiting]:
    """Those to be sent now, the oldest first; what is worth nothing any more is dropped."""
    connection.execute(sa.delete(letter).where(letter.c.expires_s <= now_s))
    this = sa.select(letter).where(letter.c.next_s <= now_s).order_by(letter.c.number).limit(count_max)
    return [
        Waiting(
            row.number,
            Letter(row.recipient, row.subject, row.text, row.unsubscribe_url),
            *(row.created_s, row.tries),
        )
        for row in connection.execute(this)
    ]


def remove(connection: sa.Connection, number: int) -> None:
    """It was taken by the server, or never will be."""
    connection.execute(sa.delete(letter).where(letter.c.number == number))


def put_off(connection: sa.Connection, waiting: Waiting, *, now_s: int) -> None:
    """Try again later."""
    pause_s = min(RETRY_S * 4**waiting.tries, RETRY_S_MAX)
    row = {"tries": waiting.tries + 1, "next_s": now_s + pause_s}
    connection.execute(sa.update(letter).where(letter.c.number == waiting.number).values(row))
