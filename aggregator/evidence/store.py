"""Reads the evidence: blocks by device and time or by seq, hashes by id.

Ids count blocks in the order of their commits: everything up to an id is what was known at a moment. A block that
was deleted (a member's wish, or the policy's `keep_days`) is still known by device, seq, times and hash.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from aggregator.evidence import pages
from aggregator.evidence.pages import table
from commonwatt.evidence_page import Page, names, octets
from commonwatt.lookup import distinct

NEAR_S = 86_400
"""Where a block's neighbours in its chain are looked for first: a device that was heard has them within a day."""


class Kept(NamedTuple):
    """A block as received. `start_s`, `end_s`: of its first and last reading; `received_s`: civil, as the others.
    `signed`: empty if the block was deleted, or was not asked for."""

    id: int
    device: bytes
    seq: int
    sha256: bytes
    gateway: bytes
    received_s: int
    start_s: int
    end_s: int
    signed: bytes


Place = tuple[bytes, int]
"""Device and seq."""


def last_id(connection: sa.Connection) -> int:
    """The id of the block that was committed last; 0 before the first."""
    return connection.scalar(sa.select(sa.func.max(table.id_max))) or 0


def blocks(
    connection: sa.Connection, devices: Collection[bytes], start_s: int, end_s: int, *, id_max: int | None = None
) -> Iterator[Kept]:
    """Blocks of these devices that reach into `start_s` to `end_s`, both included, ascending by device and seq.
    Deleted ones are left out."""
    if not devices:
        return
    wanted = octets(sorted(set(devices)))
    condition = sa.and_(
        *(table.start_s_min <= end_s, table.end_s_max >= start_s),
        *(table.first_device <= wanted[-1].tobytes(), table.last_device >= wanted[0].tobytes()),
    )
    found: list[Kept] = []
    for page in pages.read(connection, condition):
        rows = page.rows_of(wanted)
        is_it = (page.start_s[rows] <= end_s) & (page.end_s[rows] >= start_s) & (page.size[rows] > 0)
        if id_max is not None:
            is_it &= page.id[rows] <= id_max
        if is_it.any():
            found += _kept(page.take(rows[is_it]))
    yield from sorted(found, key=lambda kept: (kept.device, kept.seq))


def all_blocks(connection: sa.Connection) -> Iterator[Kept]:
    """Every block, deleted ones with nothing in `signed`, in no order."""
    for page in pages.read(connection, sa.true()):
        yield from _kept(page)


def hashes(connection: sa.Connection, ids: Collection[int]) -> dict[int, bytes]:
    """SHA-256 of the blocks with these ids."""
    if not ids:
        return {}
    wanted = distinct(np.fromiter(ids, dtype=np.int64))
    found: dict[int, bytes] = {}
    condition = sa.and_(table.id_max >= int(wanted[0]), table.id_min <= int(wanted[-1]))
    for page in pages.read(connection, condition, with_blocks=False):
        rows = np.flatnonzero(np.isin(page.id, wanted))
        found.update(zip(page.id[rows].tolist(), names(page.sha256[rows]), strict=True))
        if len(found) == len(wanted):
            break
    return found


def find(
    connection: sa.Connection, near_s: Mapping[Place, int], *, with_blocks: bool = False, is_far: bool = True
) -> dict[Place, Kept]:
    """Blocks by their places, with the time near which each is looked for first; elsewhere only if `is_far`."""
    found: dict[Place, Kept] = {}
    if not near_s:
        return found
    early_s, late_s = min(near_s.values()) - NEAR_S, max(near_s.values()) + NEAR_S
    is_near = sa.and_(table.start_s_min <= late_s, table.start_s_max >= early_s)
    for condition in [is_near, sa.not_(is_near)] if is_far else [is_near]:
        query = sa.select(table.page, table.first_device, table.last_device).where(condition)
        for number, first, last in connection.execute(query.order_by(table.page.desc())).all():
            left = [place for place in near_s if place not in found and first <= place[0] <= last]
            if left:
                page = pages.read_one(connection, number, with_blocks=with_blocks)
                rows = page.find(octets(place[0] for place in left), np.array([place[1] for place in left]))
                kept = _kept(page.take(rows[rows >= 0]))
                found.update(((row.device, row.seq), row) for row in kept)
        if len(found) == len(near_s):
            break
    return found


def _kept(page: Page) -> list[Kept]:
    columns = (page.id.tolist(), names(page.device), page.seq.tolist(), names(page.sha256), names(page.gateway))
    times = (page.received_s.tolist(), page.start_s.tolist(), page.end_s.tolist())
    return [Kept(*row) for row in zip(*columns, *times, page.blocks(), strict=True)]
