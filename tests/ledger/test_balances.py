"""Balances beside the entries: pages, changes since, and both read again after every commit."""

import random
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from ledger.book.account_columns import Account, Accounts
from ledger.store.balances import CHANGES_SIZE_MAX, PAGE_ACCOUNTS, BalancePages
from ledger.store.schema import Damaged, balance, balance_change, metadata

ACCOUNTS = 2000


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield connection
    engine.dispose()


def commune(count: int) -> Accounts:
    accounts = Accounts()
    for number in range(count):
        accounts[named(number)] = Account(0, number)
    return accounts


def named(number: int) -> bytes:
    """Accounts in three units; that of energy credits is not written."""
    unit = number % 3
    return number.to_bytes(16, "big") + (bytes([unit]) if unit else b"")


def count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def read(connection: sa.Connection) -> dict[bytes, tuple[int, int]]:
    pages = BalancePages(connection)
    pages.load()
    return pages.all()


def test_balances_when_commits_move_many_accounts_or_few(connection: sa.Connection) -> None:
    """After each commit a new start reads what the accounts have, whichever way it was written."""
    pick = random.Random(1)
    accounts = commune(ACCOUNTS)
    pages = BalancePages(connection)
    pages.put(accounts, range(ACCOUNTS))
    assert (count(connection, balance), count(connection, balance_change)) == (-(-ACCOUNTS // PAGE_ACCOUNTS), 0)
    waiting = []
    for commit in range(200):
        moved = pick.sample(range(ACCOUNTS), pick.choice([1, 2, 900, 900, 900, 900]))
        for number in moved:
            accounts.debits_mc[number] += pick.randrange(10**9)
            accounts.credits_mc[number] += pick.randrange(10**9)
        pages.put(accounts, moved)
        waiting.append(count(connection, balance_change))
        if commit % 10 == 0:
            pages = BalancePages(connection)
            pages.load()
            assert pages.all() == accounts
    assert max(waiting) > 10
    assert 0 in waiting, "pages never followed"
    size = connection.scalar(sa.select(sa.func.sum(sa.func.length(balance_change.c.accounts)))) or 0
    assert size <= CHANGES_SIZE_MAX
    assert read(connection) == accounts


def test_balances_when_accounts_come_one_by_one(connection: sa.Connection) -> None:
    """An account that is new keeps its place from the change that brought it to the page that holds it."""
    accounts, pages = commune(0), BalancePages(connection)
    for number in range(128):
        accounts[named(number)] = Account(0, number)
        pages.put(accounts, [number])
    assert count(connection, balance) == 0
    assert read(connection) == accounts
    pages.put(accounts, range(128))
    assert count(connection, balance_change) == 0
    assert read(connection) == accounts


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM balance WHERE page = 1", "a page of balances is missing"),
        ("UPDATE balance SET accounts = zeroblob(40) WHERE page = 3", "ends inside an account"),
        ("UPDATE balance_change SET accounts = zeroblob(38)", "ends inside an account"),
        ("UPDATE balance_change SET accounts = CAST(x'ff' || zeroblob(36) AS BLOB)", "ends inside|stands nowhere"),
    ],
)
def test_balances_when_edited(connection: sa.Connection, statement: str, what: str) -> None:
    """What is no table of ours is not read."""
    accounts, pages = commune(128), BalancePages(connection)
    pages.put(accounts, range(128))
    pages.put(accounts, [7])
    connection.execute(sa.text(statement))
    with pytest.raises(Damaged, match=what):
        read(connection)
