"""The balances beside the entries: 32 accounts a row, because a mint-run moves every account of a commune at once.

    page 3   0b5e… (16 bytes) 00 · debits_mc (8 bytes, big-endian) · credits_mc (8 bytes) · the next account …

An account is its holder's id and its unit, 0 for energy credits. Its place is where it first moved, for ever.
"""

import struct
from collections.abc import Iterable

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from commonwatt.identity import ID_SIZE
from ledger.book.account_columns import Accounts, view
from ledger.book.columns import Integers
from ledger.store.schema import Damaged, balance

PAGE_ACCOUNTS = 32
_ROW = struct.Struct(">17sqq")
_COLUMNS = np.dtype([("account", f"V{ID_SIZE + 1}"), ("debits_mc", ">i8"), ("credits_mc", ">i8")])
_PAGE_SIZE = PAGE_ACCOUNTS * _ROW.size


class BalancePages:
    """The table through one connection, and its rows in memory: 33 bytes an account, and where each one stands."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._upsert = str(_upsert(connection.dialect).compile(dialect=connection.dialect))
        self._rows = bytearray()
        self._at: dict[bytes, int] = {}
        self._accounts = Accounts()
        self._place = np.zeros(
            0, dtype=np.int64
        )  # by the number of an account in `_accounts`; -1: not looked for yet

    def load(self) -> None:
        """Read every page, within the caller's transaction."""
        for row in self._connection.execute(sa.select(balance).order_by(balance.c.page)):
            self._rows[row.page * _PAGE_SIZE :] = row.accounts
        if len(self._rows) % _ROW.size:
            raise Damaged("a page of balances ends inside an account")
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
        pages = np.unique(places // PAGE_ACCOUNTS).tolist()
        upserts = [(page, bytes(self._rows[page * _PAGE_SIZE : (page + 1) * _PAGE_SIZE])) for page in pages]
        self._connection.exec_driver_sql(self._upsert, upserts)

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


def _upsert(dialect: sa.Dialect) -> sa.Insert:
    insert = (postgresql_insert if dialect.name == "postgresql" else sqlite_insert)(balance)
    return insert.on_conflict_do_update(index_elements=[balance.c.page], set_={"accounts": insert.excluded.accounts})
