"""The claim keys that were minted: for each account and source the end of the last window, in 48 bytes an account.

Windows only move forward, so one number each replaces a set of all keys. A mapping from (account, source) for the
rules, which take leaves one by one; whole runs use the column of the accounts (mint_bulk.py).
"""

from collections.abc import Iterator, Mapping

from ledger.book.account_columns import SOURCES, Accounts
from ledger.book.mint import SOURCE_PRODUCTION

Claim = tuple[bytes, int]


class ClaimKeys:
    """A view of accounts, each of which was opened before its first claim."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def get(self, claim: Claim, default: int = 0) -> int:
        """The end of the last minted window of an account and source, `default` before the first."""
        account, source = claim
        number = self._accounts.number(account)
        return default if number is None else self._accounts.minted_until_s[_place(number, source)] or default

    def __getitem__(self, claim: Claim) -> int:
        end_s = self.get(claim)
        if not end_s:
            raise KeyError(claim)
        return end_s

    def __setitem__(self, claim: Claim, end_s: int) -> None:
        account, source = claim
        self._accounts.minted_until_s[_place(self._accounts.open(account), source)] = end_s

    def update(self, ends_s: Mapping[Claim, int]) -> None:
        """Set many."""
        for claim, end_s in ends_s.items():
            self[claim] = end_s

    def items(self) -> Iterator[tuple[Claim, int]]:
        """Every claim that was ever minted, with the end of its last window."""
        for place, end_s in enumerate(self._accounts.minted_until_s):
            if end_s:
                yield (self._accounts.names[place // SOURCES], SOURCE_PRODUCTION + place % SOURCES), end_s


def _place(number: int, source: int) -> int:
    return SOURCES * number + source - SOURCE_PRODUCTION
