"""What was told before: for which days a total over which sites went out. Durable, in the private store, because it
says who was where; and asked and extended in one transaction, so that two askers at once do not pass each other."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from aggregator.private import schema
from aggregator.private.file import opened
from commonwatt.identity import ID_SIZE

Sites = frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Told:
    """A total over `sites` of the days in `[start_s, end_s)`, in whatever steps, was told for a cell."""

    cell: str
    start_s: int
    end_s: int
    sites: Sites


class Memory:
    """An open memory, inside `with remembering(…)`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._groups: dict[bytes, Sites] = {}

    def of(self, cell: str, start_s: int, end_s: int) -> Sites | None:
        """Of whom exactly these days of a cell were told: whoever asks again is answered of the same."""
        row = schema.told.c
        query = sa.select(row.sites).where(row.cell == cell, row.start_s == start_s, row.end_s == end_s)
        digest = self._connection.scalar(query)
        return None if digest is None else self._group(digest)

    def during(self, start_s: int, end_s: int) -> list[Told]:
        """Everything told about a part of `[start_s, end_s)`, the oldest answer first."""
        row = schema.told.c
        query = sa.select(schema.told).where(row.start_s < end_s, row.end_s > start_s).order_by(row.number)
        rows = self._connection.execute(query).all()
        return [Told(found.cell, found.start_s, found.end_s, self._group(found.sites)) for found in rows]

    def add(self, told: Told) -> None:
        """Remember an answer; the same one again changes nothing."""
        sites = b"".join(sorted(told.sites))
        digest = hashlib.sha256(sites).digest()
        group = {"digest": digest, "sites": sites}
        row = {"cell": told.cell, "start_s": told.start_s, "end_s": told.end_s, "sites": digest}
        self._connection.execute(sa.insert(schema.told_group).prefix_with("OR IGNORE"), group)
        self._connection.execute(sa.insert(schema.told).prefix_with("OR IGNORE"), row)

    def extend(self, told: Told) -> None:
        """As `add`, for what is told in small steps one after another: a step that follows one over the same sites
        makes that row longer, and one that is in a row already changes nothing."""
        row = schema.told.c
        digest = hashlib.sha256(b"".join(sorted(told.sites))).digest()
        is_same = sa.and_(row.cell == told.cell, row.sites == digest)
        covering = sa.select(row.number).where(is_same, row.start_s <= told.start_s, row.end_s >= told.end_s)
        if self._connection.scalar(covering.limit(1)) is not None:
            return
        longer = sa.update(schema.told).where(is_same, row.end_s == told.start_s).values(end_s=told.end_s)
        if self._connection.execute(longer).rowcount == 0:
            self.add(told)

    def _group(self, digest: bytes) -> Sites:
        if digest not in self._groups:
            group = schema.told_group.c
            sites = self._connection.scalar(sa.select(group.sites).where(group.digest == digest)) or b""
            parts = (sites[at : at + ID_SIZE] for at in range(0, len(sites), ID_SIZE))
            self._groups[digest] = frozenset(parts)
        return self._groups[digest]


@contextmanager
def remembering(private_db: Path) -> Iterator[Memory]:
    """The memory in one transaction, which is durable when the block has ended and before an answer is printed."""
    with opened(private_db) as connection:
        yield Memory(connection)
