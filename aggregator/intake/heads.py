"""Where each device's chain stands: its highest block, kept in memory so that the usual next block asks no database.

56 bytes a device. They are kept in the table `head_page`, a page for every 1,024 blocks that were committed, and made
whole at a start by the evidence that came after each page.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import schema
from aggregator.evidence import pages
from aggregator.evidence.pages import table as evidence
from aggregator.sql import upsert
from commonwatt.block import LINK_SIZE
from commonwatt.evidence_page import Integers, Octets
from commonwatt.identity import ID_SIZE
from commonwatt.lookup import NONE as NONE
from commonwatt.lookup import find, insert

PAGE_DEVICES = 1024
"""Devices of a page. One page is written for so many blocks: a start then has about as many blocks to read as there
are devices."""


@dataclass(slots=True)
class _Columns:
    """By number: id, seq of the highest block (NONE: no block yet), the link to it, its latest reading ever."""

    device: Octets
    seq: Integers
    link: Octets
    latest_s: Integers

    @classmethod
    def empty(cls, count: int) -> "_Columns":
        zeros = np.zeros(count, dtype=np.int64)
        ids, links = (np.zeros((count, size), dtype=np.uint8) for size in (ID_SIZE, LINK_SIZE))
        return cls(ids, np.full(count, NONE), links, zeros)


class Heads:
    """Heads by a device's number: devices are numbered in the order in which we first hear of them."""

    def __init__(self, page_devices: int = PAGE_DEVICES) -> None:
        self._page_devices = page_devices
        self._count = 0
        self._columns = _Columns.empty(0)
        self._keys = self._order = np.empty(0, dtype=np.uint32)  # to be found by their ids (commonwatt/lookup.py)
        self._next_page = 0  # of those that are kept in turn
        self._credit = 0
        self._written = 0  # devices that are in the table
        self._unkept = 0  # blocks that no page of `keep_whole` knows

    def __len__(self) -> int:
        return self._count

    @property
    def device(self) -> Octets:
        """Ids by number."""
        return self._columns.device[: self._count]

    @property
    def seq(self) -> Integers:
        """Seq of the highest block by number; NONE before the first."""
        return self._columns.seq[: self._count]

    @property
    def link(self) -> Octets:
        """The link to the highest block by number; zeros before the first."""
        return self._columns.link[: self._count]

    @property
    def latest_s(self) -> Integers:
        """Time of the latest reading by number; 0 before the first."""
        return self._columns.latest_s[: self._count]

    @property
    def memory_bytes(self) -> int:
        """What the columns take."""
        columns = self._columns
        arrays = (columns.device, columns.seq, columns.link, columns.latest_s, self._keys, self._order)
        return sum(array.nbytes for array in arrays)

    def find(self, device: Octets) -> Integers:
        """The number of each device; NONE: never heard of."""
        return find(device, self._keys, self._order, self._columns.device)

    def of(self, device: Octets) -> Integers:
        """The number of each device; those never heard of get one."""
        numbers = self.find(device)
        if (numbers == NONE).any():
            self._add(np.unique(device[numbers == NONE], axis=0))
            numbers = self.find(device)
        return numbers

    def advance(self, numbers: Integers, seq: Integers, link: Octets, end_s: Integers) -> None:
        """Blocks that are durable now, in any order; each chain's highest becomes its head."""
        if not len(numbers):
            return
        order = np.lexsort((seq, numbers))
        is_last = np.append(numbers[order][1:] != numbers[order][:-1], True)
        last = order[is_last]
        last = last[seq[last] > self.seq[numbers[last]]]
        self.seq[numbers[last]] = seq[last]
        self.link[numbers[last]] = link[last]
        np.maximum.at(self.latest_s, numbers, end_s)

    def fill(self, device: Octets, seq: Integers, link: Octets, latest_s: Integers) -> None:
        """Begin with these chains, one row a device, numbered from 0; to be called first."""
        assert not self._count
        self._add(device)
        self.seq[:], self.link[:], self.latest_s[:] = seq, link, latest_s
        self._written = len(device)

    def keep(self, connection: sa.Connection, blocks: int, id_max: int) -> None:
        """Write the pages that are due before so many more blocks; `id_max`: of the last that `advance` was told."""
        size = self._page_devices
        pages_ = -(-self._count // size)
        self._credit += blocks
        due = self._credit // size
        self._credit %= size
        numbers = {(self._next_page + at) % pages_ for at in range(min(due, pages_))}
        self._next_page = (self._next_page + due) % pages_
        if self._written < self._count:  # of who is in no page, a start would not look for the first blocks
            numbers |= set(range(self._written // size, pages_))
            self._written = self._count
        if numbers:
            connection.execute(upsert(schema.head_page), [self._row(number, id_max) for number in sorted(numbers)])

    def keep_whole(self, connection: sa.Connection, blocks: int, id_max: int) -> None:
        """The same for a database that other processes write too, in which each numbers devices in its own way: all
        pages at once, every time as many blocks were committed as there are devices (a page of them at least)."""
        self.catch_up(blocks)
        if self._unkept < max(self._page_devices, self._count):
            return
        self._unkept = 0
        connection.execute(sa.delete(schema.head_page))
        pages_ = -(-self._count // self._page_devices)
        connection.execute(sa.insert(schema.head_page), [self._row(number, id_max) for number in range(pages_)])

    def catch_up(self, blocks: int) -> None:
        """There are so many more blocks that no page of `keep_whole` knows."""
        self._unkept += blocks

    def _row(self, page: int, id_max: int) -> dict[str, Any]:
        part = slice(page * self._page_devices, min((page + 1) * self._page_devices, self._count))
        names = ("device", "seq", "link", "latest_s")
        return {"page": page, "id_max": id_max} | {name: getattr(self, name)[part].tobytes() for name in names}

    def _add(self, fresh: Octets) -> None:
        first, self._count = self._count, self._count + len(fresh)
        if self._count > len(self._columns.seq):
            grown = _Columns.empty(self._count + self._count // 8)
            for name in ("device", "seq", "link", "latest_s"):
                getattr(grown, name)[:first] = getattr(self._columns, name)[:first]
            self._columns = grown
        self._columns.device[first : self._count] = fresh
        self._keys, self._order = insert(fresh, first, self._keys, self._order)


def load(connection: sa.Connection, page_devices: int = PAGE_DEVICES) -> Heads:
    """Every chain as the database has it: the pages, and the evidence after them."""
    heads = Heads(page_devices)
    known = _load_pages(connection, heads)
    since = int(known.min()) if len(known) else 0
    for page in pages.read(connection, evidence.id_max > since, with_blocks=False):
        numbers = heads.of(page.device)
        known = np.concatenate([known, np.zeros(len(heads) - len(known), dtype=np.int64)])
        rows = np.flatnonzero(page.id > known[numbers])
        heads.catch_up(len(rows))
        heads.advance(numbers[rows], page.seq[rows], page.sha256[rows, :LINK_SIZE], page.end_s[rows])
    return heads


def _load_pages(connection: sa.Connection, heads: Heads) -> NDArray[np.int64]:
    """Fill the heads from `head_page`; by number, up to which id of the evidence they are known."""
    rows = connection.execute(sa.select(schema.head_page).order_by(schema.head_page.c.page)).all()
    counts = [len(row.seq) // 8 for row in rows]
    assert len(set(counts[:-1])) < 2, "a page of heads is written after those before it, which are full"
    if rows:
        columns = zip(*(row[2:] for row in rows), strict=True)
        device, seq, link, latest_s = (np.frombuffer(b"".join(parts), dtype=np.uint8) for parts in columns)
        heads.fill(
            device.reshape(-1, ID_SIZE), seq.view(np.int64), link.reshape(-1, LINK_SIZE), latest_s.view(np.int64)
        )
    return np.repeat(np.array([row.id_max for row in rows], dtype=np.int64), counts)
