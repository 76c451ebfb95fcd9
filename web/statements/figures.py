"""A month of a holder's accounts: what was there, what came and went, what is there. Pure: sums in."""

from dataclasses import dataclass

from ledger.book.state import State
from ledger.book.units import Unit, account_in
from web.money.days import number_of
from web.money.tally import SIGNS, SOURCES, Of, Tally
from web.month import Month


@dataclass(frozen=True, slots=True)
class Source:
    """What one source earned, and the energy that was measured for it."""

    source: int
    amount_mc: int
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Account:
    """A month of one unit, in thousandths: `before_mc` and all that follows come to `after_mc`."""

    unit: Unit
    before_mc: int
    sources: tuple[Source, ...]
    share_mc: int
    received_mc: int
    receipts: int
    paid_mc: int
    payments: int
    bought_mc: int
    redeemed_mc: int
    other_mc: int
    after_mc: int

    @property
    def earned_mc(self) -> int:
        """From all sources."""
        return sum(row.amount_mc for row in self.sources)

    @property
    def energy_wh(self) -> int:
        """Of all sources: a kilowatt-hour that was given and one that was taken are two."""
        return sum(row.energy_wh for row in self.sources)


@dataclass(frozen=True, slots=True)
class Statement:
    """A holder's month; accounts without any movement or balance are left out."""

    holder: bytes
    month: Month
    accounts: tuple[Account, ...]


def statement(state: State, tally: Tally, holder: bytes, month: Month) -> Statement:
    """The month of one holder."""
    found = (_account(state, tally, holder, unit, month) for unit in Unit)
    return Statement(holder, month, tuple(row for row in found if row is not None))


def _account(state: State, tally: Tally, holder: bytes, unit: Unit, month: Month) -> Account | None:
    number = state.book.accounts.number(account_in(holder, unit))
    if number is None or number >= len(tally.known_mc):
        return None
    at = number_of(month)
    row = tally.month(at)[number]
    after_mc = tally.balance_mc(number, at)
    if not row.any() and after_mc == 0:
        return None
    sources = (
        Source(source, int(row[Of.EARNED + source - 1]), int(row[Of.ENERGY_WH + source - 1]))
        for source in range(1, SOURCES + 1)
    )
    return Account(
        unit=unit,
        before_mc=after_mc - int(row @ SIGNS),
        sources=tuple(part for part in sources if part.amount_mc or part.energy_wh),
        share_mc=int(row[Of.SHARE]),
        received_mc=int(row[Of.RECEIVED]),
        receipts=int(row[Of.RECEIPTS]),
        paid_mc=int(row[Of.PAID]),
        payments=int(row[Of.PAYMENTS]),
        bought_mc=int(row[Of.BOUGHT]),
        redeemed_mc=int(row[Of.REDEEMED]),
        other_mc=int(row[Of.OTHER]),
        after_mc=after_mc,
    )
