"""The vouchers there are: rows of web.db. What became of one is what the ledger says."""

from collections.abc import Sequence
from enum import StrEnum

import sqlalchemy as sa

from commonwatt.identity import SigningKey
from ledger.book import entry as entries_of
from ledger.book.body import Transfer
from ledger.book.entry import SignedEntry
from ledger.book.units import holder_of
from web.book.followed import FollowedBook
from web.store.schema import voucher as table
from web.vouchers.paper import Voucher


class Standing(StrEnum):
    """What a voucher is now."""

    UNPAID = "unpaid"  # drafted; the member's credits have not moved
    UNPRINTED = "unprinted"
    OPEN = "open"
    TAKEN = "taken"  # a shop has it; the association has not signed yet
    PAID = "paid"
    BACK = "back"  # cancelled: the member has the credits again


def draft(connection: sa.Connection, sheet: bytes, member: bytes, amount_mc: int, count: int, *, now_s: int) -> None:
    """Numbers for a new sheet."""
    row = {"sheet": sheet, "member": member, "amount_mc": amount_mc, "drafted_s": now_s}
    connection.execute(sa.insert(table), [row] * count)


def set_keys(connection: sa.Connection, keys: Sequence[tuple[int, bytes]]) -> int:
    """The public keys of what is printed; how many had none before. A key is never changed: paper may have it."""
    count = 0
    for number, public_key in keys:
        this = sa.update(table).where(table.c.number == number, table.c.public_key.is_(None))
        count += connection.execute(this.values(public_key=public_key)).rowcount
    return count


def never_print(connection: sa.Connection, sheet: bytes) -> None:
    """What was not printed of a sheet never will be: it gets keys whose private halves nobody has. So the entry that
    gives its credits back has the one id that can end it, also if another browser prints at the same moment."""
    unprinted = [voucher.number for voucher in of_sheet(connection, sheet) if voucher.public_key is None]
    set_keys(connection, [(number, SigningKey.generate().public_key) for number in unprinted])


def take(connection: sa.Connection, number: int, payee: bytes, claim: bytes, *, now_s: int) -> bool:
    """A shop takes it; False if another was first."""
    this = sa.update(table).where(table.c.number == number, table.c.payee.is_(None))
    is_first = connection.execute(this.values(payee=payee, claim=claim, claimed_s=now_s)).rowcount == 1
    found = find(connection, number)
    return is_first or (found is not None and found.payee == payee)


def find(connection: sa.Connection, number: int) -> Voucher | None:
    """One."""
    row = connection.execute(_SELECT.where(table.c.number == number)).one_or_none()
    return None if row is None else Voucher(*row)


def of_sheet(connection: sa.Connection, sheet: bytes) -> list[Voucher]:
    """Those that one entry paid for."""
    return [Voucher(*row) for row in connection.execute(_SELECT.where(table.c.sheet == sheet))]


def of_member(connection: sa.Connection, member: bytes) -> list[Voucher]:
    """A member's, the newest first."""
    rows = connection.execute(_SELECT.where(table.c.member == member).order_by(table.c.number.desc()))
    return [Voucher(*row) for row in rows]


def taken(connection: sa.Connection) -> list[Voucher]:
    """Those that shops took, the oldest first."""
    rows = connection.execute(_SELECT.where(table.c.payee.is_not(None)).order_by(table.c.claimed_s))
    return [Voucher(*row) for row in rows]


def standing(book: FollowedBook, voucher: Voucher) -> Standing:
    """By the ledger."""
    if book.index.place_of(voucher.sheet) is None:
        return Standing.UNPAID
    data = book.find_entry(voucher.end_id)
    if data is None:
        if voucher.public_key is None:
            return Standing.UNPRINTED
        return Standing.TAKEN if voucher.payee is not None else Standing.OPEN
    parsed = entries_of.parse(data) if data else None
    body = parsed.entry.body if isinstance(parsed, SignedEntry) else None
    is_back = isinstance(body, Transfer) and holder_of(body.payee) == voucher.member
    return Standing.BACK if is_back else Standing.PAID


_SELECT = sa.select(
    table.c.number,
    table.c.sheet,
    table.c.member,
    table.c.amount_mc,
    table.c.public_key,
    table.c.payee,
    table.c.claimed_s,
)
