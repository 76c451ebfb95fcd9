"""The claim keys that were minted: for each account and source the end of the last window, in 48 bytes an account.

Windows only move forward, so one number each replaces a set of all keys. A mapping from (account, source) for the
rules, which take leaves one by one; an array by number for whole runs (mint_bulk.py). A number is an account's place
in the order in which they were first named here, and says nothing: two equal states may number differently.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from commonwatt.errors import FormatError
from ledger.book.mint import SOURCE_LAST, SOURCE_PRODUCTION

Claim = tuple[bytes, int]

SOURCES = SOURCE_LAST - SOURCE_PRODUCTION + 1


class ClaimKeys:
    """`until_s[SOURCES * number + source - 1]`: the end of the last minted window, 0 before the first."""

    def __init__(self) -> None:
        self.accounts: list[bytes] = []
        self.until_s = array("q")
        self._numbers: dict[bytes, int] = {}

    def number(self, account: bytes) -> int:
        """The number of an account."""
        number = self._numbers.get(account)
        if number is None:
            number = self._numbers[account] = len(self.accounts)
            self.accounts.append(account)
            self.until_s.extend([0] * SOURCES)
        return number

    def numbers(self, accounts: Iterable[bytes]) -> list[int] | None:
        """The numbers of many accounts; None if any has none yet."""
        try:
            return list(map(self._numbers.__getitem__, accounts))
        except KeyError:
            return None

    def get(self, claim: Claim, default: int = 0) -> int:
        """The end of the last minted window of an account and source, `default` before the first."""
        account, source = claim
        number = self._numbers.get(account)
        return default if number is None else self.until_s[_place(number, source)] or default

    def __getitem__(self, claim: Claim) -> int:
        end_s = self.get(claim)
        if not end_s:
            raise KeyError(claim)
        return end_s

    def __setitem__(self, claim: Claim, end_s: int) -> None:
        account, source = claim
        self.until_s[_place(self.number(account), source)] = end_s

    def update(self, ends_s: Mapping[Claim, int]) -> None:
        """Set many."""
        for claim, end_s in ends_s.items():
            self[claim] = end_s

    def items(self) -> Iterator[tuple[Claim, int]]:
        """Every claim that was ever minted, with the end of its last window."""
        for place, end_s in enumerate(self.until_s):
            if end_s:
                yield (self.accounts[place // SOURCES], SOURCE_PRODUCTION + place % SOURCES), end_s

    def __getstate__(self) -> Any:
        return self.accounts, self.until_s.tobytes()

    def __setstate__(self, state: Any) -> None:
        self.accounts, until_s = state
        self.until_s = array("q", until_s)
        if len(self.until_s) != SOURCES * len(self.accounts):
            raise FormatError("malformed", "claim keys of another number of sources")
        self._numbers = {account: number for number, account in enumerate(self.accounts)}


def _place(number: int, source: int) -> int:
    return SOURCES * number + source - SOURCE_PRODUCTION
