"""Codes by which people ask to be paid: rows of web.db, and what has become of one by what the ledger says.

A code that is paid once names the payment's entry id: whoever pays it, twice or from two tabs, makes an entry with
this id, and the ledger places the first of them only.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from commonwatt.identity import ID_SIZE, new_id
from ledger.book.payments import Transfer
from web.pay.spelling import new_code
from web.store.schema import code as table

KEPT_S = 400 * 86_400
"""How long a code is remembered after its end, for who asked by it."""


class Lasts(StrEnum):
    """How long a code may be paid; `ALWAYS`: many times, until it is ended."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ALWAYS = "always"

    @property
    def seconds(self) -> int | None:
        """None: without end."""
        return {"hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400}.get(self.value)


@dataclass(frozen=True, slots=True)
class Code:
    """`account`: to be paid, in its unit. `amount_mc`: None where who pays says how much. `payment`: the id of the
    entry that pays it; None: it may be paid many times. `expires_s`: None: never. `shown_s`: when somebody first saw
    what it asks for; `is_short`: they have too little for it."""

    text: str
    account: bytes
    amount_mc: int | None
    memo: str
    payment: bytes | None
    made_s: int
    expires_s: int | None
    is_ended: bool = False
    shown_s: int | None = None
    is_short: bool = False


class Standing(StrEnum):
    """What a code is now."""

    OPEN = "open"
    PAID = "paid"
    SPOILT = "spoilt"  # its id is taken by something that does not pay it: nobody can any more
    EXPIRED = "expired"
    ENDED = "ended"


def standing(code: Code, paid: Transfer | None, *, is_taken: bool, now_s: int) -> Standing:
    """What a code is. `is_taken`: the ledger has an entry with its id; `paid`: that entry, if it is a transfer."""
    if is_taken:
        return Standing.PAID if paid is not None and pays(code, paid) else Standing.SPOILT
    if code.is_ended:
        return Standing.ENDED
    return Standing.EXPIRED if code.expires_s is not None and now_s >= code.expires_s else Standing.OPEN


def pays(code: Code, paid: Transfer) -> bool:
    """Whether a transfer is what a code asks for."""
    return paid.payee == code.account and code.amount_mc in (None, paid.amount_mc)


def payment_of(purpose: str, about: bytes) -> bytes:
    """The id of the one payment that something can have: "code" and its nonce, "refund" and a payment's id."""
    return hashlib.sha256(f"commonwatt/v1/payment/{purpose}".encode() + about).digest()[:ID_SIZE]


def make(
    connection: sa.Connection, *, account: bytes, amount_mc: int | None, memo: str, lasts: Lasts, now_s: int
) -> Code:
    """A new code."""
    payment = None if lasts is Lasts.ALWAYS else payment_of("code", new_id())
    expires_s = None if lasts.seconds is None else now_s + lasts.seconds
    made = Code(new_code(), account, amount_mc, memo, payment, now_s, expires_s)
    connection.execute(sa.delete(table).where(table.c.expires_s < now_s - KEPT_S))
    while find(connection, made.text) is not None:
        made = Code(new_code(), account, amount_mc, memo, payment, now_s, expires_s)
    times = {"made_s": now_s, "expires_s": expires_s}
    row = {"account": account, "amount_mc": amount_mc, "memo": memo, "payment": payment}
    connection.execute(sa.insert(table).values(text=made.text, **row, **times))
    return made


def find(connection: sa.Connection, text: str) -> Code | None:
    """The code of a text."""
    return _code(connection.execute(sa.select(table).where(table.c.text == text)).one_or_none())


def of_account(connection: sa.Connection, accounts: list[bytes], *, limit: int) -> list[Code]:
    """Somebody's codes, the newest first."""
    theirs = sa.select(table).where(table.c.account.in_(accounts)).order_by(table.c.made_s.desc(), table.c.text)
    return [found for row in connection.execute(theirs.limit(limit)) if (found := _code(row)) is not None]


def end(connection: sa.Connection, text: str) -> None:
    """Nobody is to pay by it any more."""
    connection.execute(sa.update(table).where(table.c.text == text).values(is_ended=True))


def note_shown(connection: sa.Connection, text: str, *, now_s: int, is_short: bool) -> None:
    """Somebody looks at what it asks for: the till tells the merchant that the code has arrived."""
    connection.execute(sa.update(table).where(table.c.text == text).values(shown_s=now_s, is_short=is_short))


def _code(row: "sa.Row[*tuple[Any, ...]] | None") -> Code | None:
    if row is None:
        return None
    head = (row.text, row.account, row.amount_mc, row.memo, row.payment, row.made_s, row.expires_s)
    return Code(*head, row.is_ended, row.shown_s, row.is_short)
