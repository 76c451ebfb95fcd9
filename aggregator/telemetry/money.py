"""How much of each unit there is, and how much of it moved: a look at the columns of the ledger's accounts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.book.account_columns import view
from ledger.book.accounts import NOTHING, Book
from ledger.book.units import ISSUANCE, RESERVE, SYSTEM_HOLDERS, Unit, account_in, holder_of, unit_of


@dataclass(frozen=True, slots=True)
class Money:
    """Of one unit. `outstanding_mc`: what holders have, debts not taken off; `turnover_mc`: what ever left accounts;
    `issued_mc`: what was ever issued; `reserve_mc`: euros in the association's bank, None for other units."""

    outstanding_mc: int
    turnover_mc: int
    issued_mc: int
    reserve_mc: int | None


class Purse:
    """Looks at a book as often as it is asked to; knows of the accounts it has seen which unit they are of."""

    def __init__(self) -> None:
        self._units: NDArray[np.int64] = np.empty(0, dtype=np.int64)  # by number; 0: the system's own

    def look(self, book: Book) -> Mapping[Unit, Money]:
        """Every unit that anybody has an account in. For the thread that changes the book."""
        accounts = book.accounts
        fresh = [
            0 if holder_of(name) in SYSTEM_HOLDERS else int(unit_of(name))
            for name in accounts.names[len(self._units) :]
        ]
        self._units = np.append(self._units, np.array(fresh, dtype=np.int64))
        debits_mc, credits_mc = view(accounts.debits_mc).copy(), view(accounts.credits_mc).copy()
        return {unit: self._of(book, unit, debits_mc, credits_mc) for unit in Unit if (self._units == unit).any()}

    def _of(self, book: Book, unit: Unit, debits_mc: NDArray[np.int64], credits_mc: NDArray[np.int64]) -> Money:
        is_it = self._units == unit
        held_mc = credits_mc[is_it] - debits_mc[is_it]
        reserve = book.accounts.get(account_in(RESERVE, unit)) if unit is Unit.EURO else None
        return Money(
            outstanding_mc=int(held_mc[held_mc > 0].sum()),
            turnover_mc=int(debits_mc[is_it].sum()),
            issued_mc=book.accounts.get(account_in(ISSUANCE, unit), NOTHING).debits_mc,
            reserve_mc=reserve.balance_mc if reserve is not None else None,
        )
