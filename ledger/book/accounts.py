"""Double entry: accounts, postings, and the one place where money moves.

An account keeps what went out (`debits_mc`) and what came in (`credits_mc`) as two numbers that only grow, each
below 2^63. The postings of an entry sum to zero; the issuance account alone may go below zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from commonwatt.units import INT64_MAX
from ledger.book.kinds import ISSUANCE
from ledger.book.refusals import Refusal


class Posting(NamedTuple):
    """One line of an entry: negative out of the account, positive into it."""

    account: bytes
    amount_mc: int


@dataclass(slots=True)
class Account:
    """What one account paid and received since the beginning."""

    debits_mc: int = 0
    credits_mc: int = 0

    @property
    def balance_mc(self) -> int:
        """What it holds."""
        return self.credits_mc - self.debits_mc


class Book:
    """All accounts that exist. `touched`: those that changed since the last `forget_touched`."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, Account] = {ISSUANCE: Account()}
        self.touched: set[bytes] = set()

    def open_account(self, account: bytes) -> None:
        """Begin an account at zero; one that exists is left as it is."""
        self.accounts.setdefault(account, Account())

    def balance_mc(self, account: bytes) -> int:
        """What an account holds; KeyError if it does not exist."""
        return self.accounts[account].balance_mc

    def check(self, postings: Sequence[Posting]) -> Refusal | None:
        """Whether these postings of one entry may be made. Each account stands there once and exists."""
        assert sum(posting.amount_mc for posting in postings) == 0
        assert len({posting.account for posting in postings}) == len(postings)
        for account, amount_mc in postings:
            if account != ISSUANCE and self.balance_mc(account) + amount_mc < 0:
                return Refusal.INSUFFICIENT_FUNDS
        for account, amount_mc in postings:
            row = self.accounts[account]
            if max(row.credits_mc + amount_mc, row.debits_mc - amount_mc) > INT64_MAX:
                return Refusal.OVERFLOW
        return None

    def post(self, postings: Sequence[Posting]) -> None:
        """Make postings that `check` allowed."""
        assert self.check(postings) is None
        for account, amount_mc in postings:
            row = self.accounts[account]
            if amount_mc < 0:
                row.debits_mc -= amount_mc
            else:
                row.credits_mc += amount_mc
            self.touched.add(account)

    def forget_touched(self) -> None:
        """The caller has stored the touched accounts."""
        self.touched.clear()
