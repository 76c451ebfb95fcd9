"""The daily closing of a till, a ticket Z: numbered without gaps, each sealed over the one before it. Pure.

A ticket covers the places of the log from the end of the ticket before it up to the log's head at that moment:
nothing stands between two tickets. It names that head: who has the log finds every payment again, and who changes a
figure afterwards, or takes a ticket out, breaks the seal of it and of all after it.

    [1, h'ba4e…', 12, "2024-07-16", 1721152800, 8123, 8871, h'c0ff…', [[1, 14, 52300, 0, 0, …, 81200], …], h'5ea1…']
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from commonwatt import cbor
from commonwatt.errors import FormatError
from ledger.book.units import Unit
from web.accounting.movements import Movement, What

VERSION = 1
FIRST_LINK = bytes(32)
SIZE_MAX = 4096


@dataclass(frozen=True, slots=True)
class Takings:
    """Of one unit, in thousandths: what was received (`sales` payments) and paid out, what was earned from energy,
    bought and given back for euros, what charges and corrections changed, and the balance after all of it."""

    unit: Unit
    sales: int
    received_mc: int
    payments: int
    paid_mc: int
    earned_mc: int
    bought_mc: int
    redeemed_mc: int
    other_mc: int
    balance_mc: int

    def to_cbor(self) -> list[int]:
        """As sealed."""
        return [getattr(self, name) for name in self.__slots__]


@dataclass(frozen=True, slots=True)
class Ticket:
    """One closing. `first` and `end`: the places of the log that it covers, the last one excluded; `root`: of the log
    at `end`; `previous`: the seal of the ticket before."""

    account: bytes
    number: int
    day: date
    closed_s: int
    first: int
    end: int
    root: bytes
    takings: tuple[Takings, ...]
    previous: bytes

    def encode(self) -> bytes:
        """What is sealed."""
        head = [VERSION, self.account, self.number, self.day.isoformat(), self.closed_s]
        return cbor.encode([*head, self.first, self.end, self.root, self._takings(), self.previous])

    @property
    def seal(self) -> bytes:
        """SHA-256 over all of it."""
        return hashlib.sha256(self.encode()).digest()

    def _takings(self) -> list[list[int]]:
        return [row.to_cbor() for row in self.takings]


def parse(data: bytes) -> Ticket:
    """Read a ticket; FormatError if it is none."""
    value: Any = cbor.decode(data, size_max=SIZE_MAX)
    try:
        version, account, number, day, closed_s, first, end, root, rows, previous = value
        takings = tuple(Takings(Unit(row[0]), *row[1:]) for row in rows)
        ticket = Ticket(account, number, date.fromisoformat(day), closed_s, first, end, root, takings, previous)
    except (TypeError, ValueError) as error:
        raise FormatError("malformed", f"no ticket: {error}") from error
    if version != VERSION:
        raise FormatError("malformed", f"a ticket of version {version}")
    return ticket


def takings(movements: Sequence[Movement], balances_mc: dict[Unit, int]) -> tuple[Takings, ...]:
    """What these movements come to, by unit; `balances_mc`: after them, of the units that the holder has."""
    units = sorted({*balances_mc, *(row.unit for row in movements)})
    return tuple(_of_unit(unit, movements, balances_mc.get(unit, 0)) for unit in units)


def _of_unit(unit: Unit, movements: Sequence[Movement], balance_mc: int) -> Takings:
    sums: Counter[What] = Counter()
    counts: Counter[What] = Counter()
    for row in movements:
        if row.unit is unit:
            sums[row.what] += row.amount_mc
            counts[row.what] += 1
    return Takings(
        unit=unit,
        sales=counts[What.RECEIVED],
        received_mc=sums[What.RECEIVED],
        payments=counts[What.PAID],
        paid_mc=-sums[What.PAID],
        earned_mc=sums[What.EARNED],
        bought_mc=sums[What.BOUGHT],
        redeemed_mc=-sums[What.REDEEMED],
        other_mc=sums[What.OTHER],
        balance_mc=balance_mc,
    )


def broken(tickets: Sequence[Ticket], seals: Sequence[bytes]) -> int | None:
    """The number of the first ticket that is not what was sealed, of all tickets of an account in order; None: all
    are."""
    previous, first = FIRST_LINK, 0
    for number, (ticket, seal) in enumerate(zip(tickets, seals, strict=True), 1):
        is_next = (ticket.number, ticket.previous, ticket.first) == (number, previous, first)
        if not is_next or ticket.seal != seal:
            return number
        previous, first = seal, ticket.end
    return None
