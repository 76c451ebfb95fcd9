"""Double entry: accounts, postings, and the one place where money moves.

An account keeps what went out (`debits_mc`) and what came in (`credits_mc`) as two numbers that only grow, each
below 2^63 (account_columns.py). It is an account of one unit (units.py); the postings of an entry sum to zero in
every unit. What an account has promised is pending and counts as gone; issuance and the outside world alone may go
below every limit.
"""

from collections.abc import Sequence
from typing import NamedTuple

from commonwatt.identity import ID_SIZE
from commonwatt.units import INT64_MAX
from ledger.book.account_columns import Account, Accounts
from ledger.book.refusals import Refusal
from ledger.book.units import ISSUANCE, NO_CREDIT, OUTSIDE, Limits, Unit, account_in, unit_of


class Posting(NamedTuple):
    """One line of an entry: negative out of the account, positive into it."""

    account: bytes
    amount_mc: int


UNBOUNDED = frozenset(account_in(holder, unit) for holder in (ISSUANCE, OUTSIDE) for unit in Unit)
"""Accounts without a limit: what they lack is what everybody else has."""

NOTHING = Account()
"""What an account holds that never moved."""


class Book:
    """All accounts that exist. `touched`: the numbers of those that changed since the last `forget_touched`.

    The others hold what few accounts have: `pending_mc` promised and not yet paid, `incoming_mc` earned and held,
    `limits` of their own, and `marks_mc`, what they had received by the last expiry. `default_limits`: by unit.
    `is_blurred`: some balances are not known while a log with erased entries is replayed (rules_erasure.py).
    """

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.accounts.open(ISSUANCE)
        self.touched: set[int] = set()
        self.pending_mc: dict[bytes, int] = {}
        self.incoming_mc: dict[bytes, int] = {}
        self.limits: dict[bytes, Limits] = {}
        self.default_limits: dict[Unit, Limits] = {}
        self.marks_mc: dict[bytes, int] = {}
        self.is_blurred = False

    def open_account(self, account: bytes) -> None:
        """Begin an account at zero; one that exists is left as it is."""
        self.accounts.open(account)

    def balance_mc(self, account: bytes) -> int:
        """What an account holds; KeyError if it does not exist."""
        return self.accounts[account].balance_mc

    def free_mc(self, account: bytes) -> int:
        """What an account holds and has not promised; an account that never moved holds nothing."""
        return self.accounts.get(account, NOTHING).balance_mc - self.pending_mc.get(account, 0)

    def limits_of(self, account: bytes) -> Limits:
        """How far an account may go below zero."""
        if account in self.limits:
            return self.limits[account]
        return self.default_limits.get(unit_of(account), NO_CREDIT) if self.default_limits else NO_CREDIT

    def check(self, postings: Sequence[Posting]) -> Refusal | None:
        """Whether these postings of one entry may be made. Each account stands there once."""
        assert is_balanced(postings)
        assert len({posting.account for posting in postings}) == len(postings)
        if self.is_blurred:
            return None
        for account, amount_mc in postings:
            if amount_mc < 0 and account not in UNBOUNDED:
                left_mc = self.free_mc(account) + amount_mc
                if left_mc < 0 and left_mc < -self.limits_of(account).hard_mc:
                    return Refusal.INSUFFICIENT_FUNDS
        for account, amount_mc in postings:
            row = self.accounts.get(account, NOTHING)
            if max(row.credits_mc + amount_mc, row.debits_mc - amount_mc) > INT64_MAX:
                return Refusal.OVERFLOW
        return None

    def post(self, postings: Sequence[Posting]) -> None:
        """Make postings that `check` allowed; an account that is paid for the first time begins here."""
        assert self.check(postings) is None
        for account, amount_mc in postings:
            number = self.accounts.open(account)
            if amount_mc < 0:
                self.accounts.debits_mc[number] -= amount_mc
            else:
                self.accounts.credits_mc[number] += amount_mc
            self.touched.add(number)

    def put(self, account: bytes, row: Account) -> None:
        """Set what an account paid and received."""
        self.accounts[account] = row
        self.touched.add(self.accounts.open(account))

    def check_promise(self, account: bytes, amount_mc: int) -> Refusal | None:
        """Whether an account can promise this much more."""
        if self.is_blurred:
            return None
        if self.free_mc(account) - amount_mc < -self.limits_of(account).hard_mc:
            return Refusal.INSUFFICIENT_FUNDS
        promised_mc = self.pending_mc.get(account, 0) + amount_mc
        debits_mc = self.accounts.get(account, NOTHING).debits_mc
        return Refusal.OVERFLOW if debits_mc + promised_mc > INT64_MAX else None

    def promise(self, account: bytes, amount_mc: int) -> None:
        """Keep an amount aside that `check_promise` allowed; a negative one gives it back."""
        _add(self.pending_mc, account, amount_mc)

    def can_await(self, account: bytes, amount_mc: int) -> bool:
        """Whether so much more held back stays within 63 bits."""
        return self.incoming_mc.get(account, 0) + amount_mc <= INT64_MAX

    def await_mint(self, account: bytes, amount_mc: int) -> None:
        """Remember an amount whose claim is held; a negative one when the hold ends."""
        _add(self.incoming_mc, account, amount_mc)

    def past_soft_limit(self, postings: Sequence[Posting]) -> tuple[bytes, ...]:
        """The accounts that these postings, made already, left further below zero than their soft limit."""
        if not self.default_limits and not self.limits:  # no unit here lends
            return ()
        return tuple(
            account
            for account, amount_mc in postings
            if amount_mc < 0 and account not in UNBOUNDED and self.free_mc(account) < -self.limits_of(account).soft_mc
        )

    def forget_touched(self) -> None:
        """The caller has stored the touched accounts."""
        self.touched.clear()


def is_balanced(postings: Sequence[Posting]) -> bool:
    """Whether postings sum to zero in every unit."""
    if all(len(account) == ID_SIZE for account, _ in postings):  # energy alone: the common case, and the fast one
        return sum(amount_mc for _, amount_mc in postings) == 0
    sums_mc: dict[Unit, int] = {}
    for account, amount_mc in postings:
        unit = unit_of(account)
        sums_mc[unit] = sums_mc.get(unit, 0) + amount_mc
    return not any(sums_mc.values())


def _add(amounts_mc: dict[bytes, int], account: bytes, amount_mc: int) -> None:
    after_mc = amounts_mc.get(account, 0) + amount_mc
    assert after_mc >= 0
    if after_mc:
        amounts_mc[account] = after_mc
    else:
        amounts_mc.pop(account, None)
