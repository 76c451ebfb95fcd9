"""Lays the blocks of days that are over together, by device; and deletes blocks that the policy keeps no longer.

Each step is one transaction of a bounded size, so that receipts have their turn. A crash repeats or continues a step:
a block lies in exactly one page at any time.
"""

import numpy as np
import sqlalchemy as sa

from aggregator import schema
from aggregator.evidence import pages
from aggregator.evidence.pages import TOP, table
from aggregator.policy.schedule import Schedule
from aggregator.sql import Database
from commonwatt import evidence_page
from commonwatt.clock import Civil
from commonwatt.evidence_page import Page

DAY_S = 86_400
LAID_AFTER_S = 6 * 3600
"""How long after midnight (UTC) a day is laid: most of what is late has come by then. What comes later is laid beside
it at the next midnight."""

STEP_BLOCKS_MAX = 131_072
"""Blocks laid in one step: about a second."""

DAY_PAGE_BLOCKS = 4096
"""Blocks of a page that was laid by day: who asks for one device and day reads a megabyte."""


class Days:
    """The evidence's housekeeping of one database."""

    def __init__(self, *, database: Database, clock: Civil) -> None:
        self._database = database
        self._clock = clock
        self._done_until_s = 0

    def step(self, schedule: Schedule) -> int:
        """Do a bounded piece of what is due; how many blocks were laid. Raises StorageError."""
        now_s = int(self._clock.now_s())
        until_s = (now_s - LAID_AFTER_S) // DAY_S * DAY_S
        if until_s <= self._done_until_s:
            return 0
        with self._database.transaction() as connection:
            laid = lay(connection, until_s)
            if not laid:
                keep_days = schedule.at(now_s).rules.evidence.keep_days
                if keep_days is not None:
                    forget(connection, until_s // DAY_S - keep_days)
                self._done_until_s = until_s
        return laid


def lay(connection: sa.Connection, until_s: int, *, blocks_max: int = STEP_BLOCKS_MAX) -> int:
    """Lay blocks that begin before `until_s` (a midnight) by day and device; how many, at most about `blocks_max`."""
    query = sa.select(table.page, table.blocks).where(table.day.is_(None), table.start_s_min < until_s)
    numbers: list[int] = []
    blocks = 0
    for number, count in connection.execute(query.order_by(table.page)):
        if numbers and blocks + count > blocks_max:
            break
        numbers.append(number)
        blocks += count
    if not numbers:
        return 0
    page = evidence_page.concatenate([pages.read_one(connection, number) for number in numbers])
    pages.delete(connection, numbers)
    days = page.start_s // DAY_S
    is_over = page.start_s < until_s
    for day in np.unique(days[is_over]).tolist():
        _insert(connection, page.take(days == day).ordered(), DAY_PAGE_BLOCKS, day)
    if not is_over.all():
        _insert(connection, page.take(~is_over).ordered(), pages.PAGE_BLOCKS_MAX, None)
    return int(is_over.sum())


def forget(connection: sa.Connection, before_day: int) -> int:
    """Delete the blocks of days before `before_day`, but for the days of spans that wait for a steward; how many
    pages. Who, when and the hash of each stay."""
    held = schema.held.c
    waiting_s = connection.scalar(sa.select(sa.func.min(held.start_s)).where(held.review_place.is_(None)))
    if waiting_s is not None:
        before_day = min(before_day, waiting_s // DAY_S - 1)
    old = sa.and_(table.day < before_day, table.signed.is_not(None))
    return connection.execute(sa.update(schema.evidence_page).where(old).values(signed=None)).rowcount


def _insert(connection: sa.Connection, page: Page, blocks_max: int, day: int | None) -> None:
    for start in range(0, len(page), blocks_max):
        part = page.take(np.arange(start, min(start + blocks_max, len(page))))
        pages.insert(connection, part, level=TOP, day=day)
