"""The table `evidence_page`: a commit adds a page; small ones are merged, and those of a day are laid together.

A page that was not laid by day yet has a `level`: how often it was merged. Sixteen pages of a level become one of the
next, so that a lookup meets few pages though a town commits every second.
"""

from collections.abc import Iterator

import numpy as np
import sqlalchemy as sa

from aggregator import schema
from commonwatt import evidence_page
from commonwatt.evidence_page import Page

FAN_IN = 16
"""Pages of one level that are merged."""

PAGE_BLOCKS_MAX = 16_384
"""Blocks of a page: it is read whole, about 4 MB."""

TOP = 99
"""The level of pages that are large enough."""

table = schema.evidence_page.c
_INSERT = sa.insert(schema.evidence_page)


def append(connection: sa.Connection, page: Page) -> None:
    """Keep blocks in the order of their commits, in the transaction that answers them; then merge what is small."""
    for start in range(0, len(page), PAGE_BLOCKS_MAX):
        part = page.take(np.arange(start, min(start + PAGE_BLOCKS_MAX, len(page))))
        insert(connection, part.ordered(), level=_level(0, len(part)))
    _merge(connection)


def insert(connection: sa.Connection, page: Page, *, level: int, day: int | None = None) -> None:
    """Write an ordered page."""
    connection.execute(_INSERT, page.encode() | {"level": level, "day": day})


def read(connection: sa.Connection, condition: sa.ColumnElement[bool], *, with_blocks: bool = True) -> Iterator[Page]:
    """Pages that meet a condition, the oldest first, one at a time."""
    numbers = connection.execute(sa.select(table.page).where(condition).order_by(table.page)).scalars().all()
    return (read_one(connection, number, with_blocks=with_blocks) for number in numbers)


def read_one(connection: sa.Connection, number: int, *, with_blocks: bool = True) -> Page:
    """One page."""
    row = connection.execute(_WHOLE if with_blocks else _PLACES, {"n": number}).one()
    return evidence_page.decode(row._asdict())


def delete(connection: sa.Connection, numbers: list[int]) -> None:
    """Forget pages whose blocks lie elsewhere now."""
    connection.execute(_DELETE, [{"n": number} for number in numbers])


def _merge(connection: sa.Connection) -> None:
    """Merge the pages of every level that has enough of them; each merge may fill the next level."""
    level = 0
    while True:
        small = sa.select(table.page).where(table.level == level, table.day.is_(None)).order_by(table.page)
        numbers = list(connection.execute(small).scalars())
        if len(numbers) < FAN_IN:
            return
        merged = evidence_page.concatenate([read_one(connection, number) for number in numbers]).ordered()
        delete(connection, numbers)
        insert(connection, merged, level=_level(level + 1, len(merged)))
        level += 1


def _level(level: int, blocks: int) -> int:
    """A page that sixteen of its size would burst is not merged any more."""
    return TOP if blocks * FAN_IN > PAGE_BLOCKS_MAX else level


_PLACES = sa.select(table.places, table.sha256).where(table.page == sa.bindparam("n"))
_WHOLE = sa.select(table.places, table.sha256, table.signed).where(table.page == sa.bindparam("n"))
_DELETE = sa.delete(schema.evidence_page).where(table.page == sa.bindparam("n"))
