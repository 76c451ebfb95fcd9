"""Accounts as columns: what each paid and received, and how far its mints have come, by the account's number.

A number is an account's place in the order in which they were opened, which is that of the log. Rules that look at
one account use the mapping from its name; whole runs and batches of transfers work on the columns (numpy): 97 bytes
an account beside its name, where as many objects lie all over the memory and are waited for.

Whose key an account has and what it may do is the admissions' to say; the columns repeat it (`State.note_wallet`).
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE, KEY_SIZE
from ledger.book.columns import Integers, Octets
from ledger.book.mint import SOURCE_LAST, SOURCE_PRODUCTION

SOURCES = SOURCE_LAST - SOURCE_PRODUCTION + 1

MAY_PAY, MAY_BE_PAID, HAS_WALLET = 1, 2, 4
"""Bits of an account's standing; none of them before its admission was noted."""

_NAME_SIZE = ID_SIZE + 1
"""Of a name as it is saved: the holder's id and the unit, 0 for energy credits."""


class Account(NamedTuple):
    """What one account paid and received since the beginning."""

    debits_mc: int = 0
    credits_mc: int = 0

    @property
    def balance_mc(self) -> int:
        """What it holds."""
        return self.credits_mc - self.debits_mc


class Accounts(Mapping[bytes, Account]):
    """By name what an account paid and received; by number the columns.

    `minted_until_s[SOURCES * number + source - 1]`: the end of the last minted window, 0 before the first.
    `standings`, and `wallets` with 32 bytes each: what the admissions say today.
    """

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.debits_mc, self.credits_mc, self.minted_until_s = array("q"), array("q"), array("q")
        self.standings, self.wallets = bytearray(), bytearray()
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def __getitem__(self, name: bytes) -> Account:
        number = self._numbers[name]
        return Account(self.debits_mc[number], self.credits_mc[number])

    def __setitem__(self, name: bytes, account: Account) -> None:
        number = self.open(name)
        self.debits_mc[number], self.credits_mc[number] = account

    def open(self, name: bytes) -> int:
        """The number of an account, which begins at zero if it is new."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
            self.debits_mc.append(0)
            self.credits_mc.append(0)
            self.minted_until_s.extend([0] * SOURCES)
            self.standings.append(0)
            self.wallets += bytes(KEY_SIZE)
        return number

    def number(self, name: bytes) -> int | None:
        """The number of an account, if it was opened."""
        return self._numbers.get(name)

    def numbers(self, names: Sequence[bytes]) -> Integers:
        """The numbers of many accounts; -1 of one that was never opened."""
        find = self._numbers
        try:
            return np.fromiter(map(find.__getitem__, names), dtype=np.int64, count=len(names))
        except KeyError:
            return np.fromiter((find.get(name, -1) for name in names), dtype=np.int64, count=len(names))

    def note_wallet(self, name: bytes, public_key: bytes, standing: int) -> None:
        """Set the key and the standing of an account."""
        number = self.open(name)
        self.standings[number] = standing
        self.wallets[number * KEY_SIZE : (number + 1) * KEY_SIZE] = public_key

    def named(self, numbers: Iterable[int]) -> list[bytes]:
        """The names of accounts."""
        return list(map(self.names.__getitem__, numbers))

    def __getstate__(self) -> Any:
        """What a saved state keeps."""
        names = b"".join([name.ljust(_NAME_SIZE, b"\0") for name in self.names])
        columns = (self.debits_mc, self.credits_mc, self.minted_until_s)
        return names, *(column.tobytes() for column in columns), bytes(self.standings), bytes(self.wallets)

    def __setstate__(self, state: Any) -> None:
        names, *columns, standings, wallets = state
        parts = (names[at : at + _NAME_SIZE] for at in range(0, len(names), _NAME_SIZE))
        self.names = [part if part[-1] else part[:-1] for part in parts]
        self.debits_mc, self.credits_mc, self.minted_until_s = (array("q", column) for column in columns)
        count = len(self.names)
        sizes = (len(self.minted_until_s), len(standings), len(wallets))
        if sizes != (SOURCES * count, count, KEY_SIZE * count):
            raise FormatError("malformed", "columns of another number of accounts or sources")
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self.standings, self.wallets = bytearray(standings), bytearray(wallets)


def view(column: "array[int]") -> Integers:
    """A column as an array that may be changed; not to be kept, because the column cannot grow while it lives."""
    return np.frombuffer(column, dtype=np.int64)


def octets(column: bytearray, size: int) -> Octets:
    """The same of a column of bytes, `size` of them a row."""
    return np.frombuffer(column, dtype=np.uint8).reshape(-1, size)
