"""Reads the evidence, whatever its form on the disk: blocks by device and time, hashes by id.

Ids count blocks in the order of their commits: everything up to an id is what was known at a moment.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from aggregator import schema

KEYS_PER_QUERY = 2000
"""Ids or devices in one query; SQLite takes 32,766 parameters."""


Key = TypeVar("Key", bytes, int)


class Kept(NamedTuple):
    """A block as received. `start_s`, `end_s`: of its first and last reading; `received_s`: civil, as the others."""

    id: int
    device: bytes
    seq: int
    sha256: bytes
    gateway: bytes
    received_s: int
    start_s: int
    end_s: int
    signed: bytes


def last_id(connection: sa.Connection) -> int:
    """The id of the block that was committed last; 0 before the first."""
    return connection.scalar(sa.select(sa.func.max(schema.evidence.c.id))) or 0


def blocks(
    connection: sa.Connection, devices: Collection[bytes], start_s: int, end_s: int, *, id_max: int | None = None
) -> Iterator[Kept]:
    """Blocks of these devices that reach into `start_s` to `end_s`, both included, ascending by device and seq."""
    table = schema.evidence.c
    query = sa.select(schema.evidence).where(table.end_s >= start_s, table.start_s <= end_s)
    if id_max is not None:
        query = query.where(table.id <= id_max)
    for some in _some(sorted(devices)):
        for row in connection.execute(query.where(table.device.in_(some)).order_by(table.device, table.seq)):
            yield Kept(*row)


def hashes(connection: sa.Connection, ids: Collection[int]) -> dict[int, bytes]:
    """SHA-256 of the blocks with these ids."""
    table = schema.evidence.c
    found: dict[int, bytes] = {}
    for some in _some(sorted(set(ids))):
        rows = connection.execute(sa.select(table.id, table.sha256).where(table.id.in_(some)))
        found.update((row.id, row.sha256) for row in rows)
    return found


def _some(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), KEYS_PER_QUERY):
        yield keys[start : start + KEYS_PER_QUERY]
