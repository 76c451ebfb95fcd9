"""Typed units, and how an account's bytes say which unit it is in. Bytes: docs/spec/entry.cddl (account).

    0b5e…            16 bytes, the holder's id: the account in energy credits, the unit every ledger has
    0b5e… 03         17 bytes, the id and a unit: the same holder's account in mutual credit

So no entry can name an amount without its unit, and what moves between two units is refused by name.
"""

from dataclasses import dataclass
from enum import IntEnum

from commonwatt.identity import ID_SIZE

ISSUANCE = bytes(ID_SIZE)
"""The holder whose accounts units come from; with `OUTSIDE` the only one that may go below every limit."""

RESERVE = bytes(ID_SIZE - 1) + b"\x01"
"""The holder of the euros that back euro units: its balance is what the association has in its bank."""

OUTSIDE = bytes(ID_SIZE - 1) + b"\x02"
"""The world that euros come from and go to: the other side of the reserve."""

SYSTEM_HOLDERS = (ISSUANCE, RESERVE, OUTSIDE)


class Unit(IntEnum):
    """What an amount is of; numbers are part of the format."""

    ENERGY = 1  # minted from measured energy, never below zero
    EURO = 2  # bought with euros that lie in the reserve, reconvertible by merchants
    MUTUAL = 3  # members lend to each other within limits; the sum over all is zero
    HOURS = 4  # as mutual credit, in thousandths of an hour


LENDING_UNITS = (Unit.MUTUAL, Unit.HOURS)
"""Units in which an account may go below zero, down to its credit limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far below zero an account may go. Past `soft_mc` the answer warns; past `hard_mc` the entry is refused."""

    soft_mc: int = 0
    hard_mc: int = 0


NO_CREDIT = Limits()


def account_in(holder: bytes, unit: Unit) -> bytes:
    """The holder's account in this unit."""
    assert len(holder) == ID_SIZE
    return holder if unit is Unit.ENERGY else holder + bytes([unit])


def holder_of(account: bytes) -> bytes:
    """Whose account it is."""
    return account[:ID_SIZE]


def unit_of(account: bytes) -> Unit:
    """The unit of an account."""
    return Unit(account[ID_SIZE]) if len(account) > ID_SIZE else Unit.ENERGY
