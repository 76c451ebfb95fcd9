"""The balances beside the entries: 32 accounts a row, and what changed since those rows were written.

    page 3     0b5e… (16 bytes) 00 · debits_mc (8 bytes, big-endian) · credits_mc (8 bytes) · the next account …
    change 41  place 97 (4 bytes) · 0b5e… 00 · debits_mc · credits_mc · the next account that moved …

An account is its holder's id and its unit, 0 for energy credits. Its place is where it first moved, for ever. A
mint-run moves every account of a commune, so it writes pages; two thousand transfers move few accounts of nearly
every page, so they write a change, and after so many bytes of changes the pages follow.
"""

import struct
from collections.abc import Iterable

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from commonwatt.identity import ID_SIZE
from commonwatt.lookup import distinct
from ledger.book.account_columns import Accounts, view
from ledger.book.columns import Integers
from ledger.store.schema import Damaged, balance, balance_change

PAGE_ACCOUNTS = 32
CHANGES_SIZE_MAX = 2**22
"""Bytes of changes that may wait beside the pages: thirty commits of two thousand transfers."""

_ROW = struct.Struct(">17sqq")
_COLUMNS = np.dtype([("account", f"V{ID_SIZE + 1}"), ("debits_mc", ">i8"), ("credits_mc", ">i8")])
_CHANGES = np.dtype([("place", ">u4"), ("row", f"V{_ROW.size}")])
_PAGE_SIZE = PAGE_ACCOUNTS * _ROW.size


class BalancePages:
    """The tables through one connection, and their rows in memory: 33 bytes an account, and where each one stands."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._upsert = str(_upsert(connection.dialect).compile(dialect=connection.dialect))
        self._rows = bytearray()
        self._at: dict[bytes, int] = {}
        self._accounts = Accounts()
        # By the number of an account in `_accounts`; -1: not looked for yet.
        self._place = np.zeros(0, dtype=np.int64)
        self._changes, self._changes_size = 0, 0
        self._stale: set[int] = set()
        """Pages in the table that changes have overtaken."""

    def load(self) -> None:
        """Read every page and change, within the caller's transaction."""
        for row in self._connection.execute(sa.select(balance).order_by(balance.c.page)):
            if len(self._rows) != row.page * _PAGE_SIZE:
                raise Damaged("a page of balances is missing")
            self._rows += row.accounts
        if len(self._rows) % _ROW.size:
            raise Damaged("a page of balances ends inside an account")
        for row in self._connection.execute(sa.select(balance_change).order_by(balance_change.c.number)):
            self._take(row.accounts)
            self._changes = row.number
        accounts = _ROW.iter_unpack(self._rows)
        self._at = {_account(name): number for number, (name, _debits, _credits) in enumerate(accounts)}

    def all(self) -> dict[bytes, tuple[int, int]]:
        """Debits and credits of every account that ever moved, in milli-credits."""
        rows = _ROW.iter_unpack(self._rows)
        return {_account(name): (debits_mc, credits_mc) for name, debits_mc, credits_mc in rows}

    def put(self, accounts: Accounts, numbers: Iterable[int]) -> None:
        """Set the balances of the accounts with these numbers, within the caller's transaction."""
        changed = np.fromiter(numbers, dtype=np.int64)
        if len(changed) == 0:
            return
        places = self._places(accounts, changed)
        rows = np.frombuffer(self._rows, dtype=_COLUMNS)
        rows["debits_mc"][places] = view(accounts.debits_mc)[changed]
        rows["credits_mc"][places] = view(accounts.credits_mc)[changed]
        del rows  # the rows cannot grow while an array looks at them
        pages = set(distinct(places // PAGE_ACCOUNTS).tolist())
        self._stale |= pages
        size = len(places) * _CHANGES.itemsize
        if size < len(pages) * _PAGE_SIZE and self._changes_size + size <= CHANGES_SIZE_MAX:
            self._write_change(places)
        else:
            self._write_pages()

    def _write_change(self, places: Integers) -> None:
        change = np.empty(len(places), dtype=_CHANGES)
        change["place"] = places
        change["row"] = np.frombuffer(self._rows, dtype=f"V{_ROW.size}")[places]
        self._changes += 1
        self._changes_size += change.nbytes
        self._connection.execute(_INSERT_CHANGE, {"number": self._changes, "accounts": change.tobytes()})

    def _write_pages(self) -> None:
        """Write the pages that are behind; changes are of no more use then."""
        upserts = [
            (page, bytes(self._rows[page * _PAGE_SIZE : (page + 1) * _PAGE_SIZE])) for page in sorted(self._stale)
        ]
        self._connection.exec_driver_sql(self._upsert, upserts)
        if self._changes:
            self._connection.execute(sa.delete(balance_change))
        self._stale, self._changes, self._changes_size = set(), 0, 0

    def _take(self, accounts: bytes) -> None:
        """Apply a change that was read."""
        if len(accounts) % _CHANGES.itemsize:
            raise Damaged("a change of balances ends inside an account")
        change = np.frombuffer(accounts, dtype=_CHANGES)
        places = change["place"].astype(np.int64)
        missing = int(places.max(initial=-1)) + 1 - len(self._rows) // _ROW.size
        if missing > len(change):
            raise Damaged("a change of balances names an account that stands nowhere")
        self._rows += bytes(max(missing, 0) * _ROW.size)
        np.frombuffer(self._rows, dtype=f"V{_ROW.size}")[places] = change["row"]
        self._stale.update((places // PAGE_ACCOUNTS).tolist())
        self._changes_size += len(accounts)

    def _places(self, accounts: Accounts, numbers: Integers) -> Integers:
        """Where these accounts stand; new ones are added at the end."""
        if accounts is not self._accounts:
            self._accounts, self._place = accounts, np.zeros(0, dtype=np.int64)
        more = len(accounts) - len(self._place)
        if more:
            self._place = np.concatenate([self._place, np.full(more, -1)])
        for number in numbers[self._place[numbers] < 0].tolist():
            name = accounts.names[number]
            if name not in self._at:
                self._at[name] = len(self._at)
                self._rows += _ROW.pack(name, 0, 0)
            self._place[number] = self._at[name]
        return self._place[numbers]


def _account(name: bytes) -> bytes:
    return name if name[-1] else name[:-1]


_INSERT_CHANGE = sa.insert(balance_change)


def _upsert(dialect: sa.Dialect) -> sa.Insert:
    insert = (postgresql_insert if dialect.name == "postgresql" else sqlite_insert)(balance)
    return insert.on_conflict_do_update(index_elements=[balance.c.page], set_={"accounts": insert.excluded.accounts})
