"""Blocks that do not simply come next: late, repeated, out of order or contradicting. Judged one by one, exactly.

A block below its device's head is either held or missing, and `gap` knows which: so only its neighbours are looked
up, and of a repeated block only the page of its own time. The same bytes name the same time: what is held, but not
with these bytes at that time, is another block under the same seq.
"""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from aggregator import schema
from aggregator.evidence import store
from aggregator.evidence.store import Place
from aggregator.intake import chain
from aggregator.intake.arrivals import Received
from aggregator.intake.chain import Link, Verdict
from aggregator.intake.heads import Heads
from aggregator.sql import insert_rows
from commonwatt import block, cose
from commonwatt.block import LINK_SIZE
from commonwatt.evidence_page import Integers

ANOTHER = Link(b"", b"")
"""A block that we hold under a seq, and that is not the one that came."""

DEVICES_PER_QUERY = 2000


class Conflict(NamedTuple):
    """A block that tells a second history, and the seq of the one that it contradicts (in the same device)."""

    device: bytes
    seq: int
    sha256: bytes
    signed: bytes
    received_s: int
    start_s: int
    contradicted: int


class Unusual:
    """Judges the blocks of some rows in order. `conflicts`: those to be kept as proof, each once."""

    def __init__(self, connection: sa.Connection, heads: Heads, numbers: Integers, received: Received) -> None:
        self._connection = connection
        self._received = received
        self._heads = heads
        self._numbers = numbers
        self._highest: dict[bytes, int] = {}
        self._links: dict[Place, Link | None] = {}
        self._gaps: dict[bytes, list[tuple[int, int]]] = {}
        self._gaps_before: dict[bytes, set[tuple[int, int]]] = {}
        self.conflicts: list[Conflict] = []

    def judge(self, rows: Sequence[int]) -> list[Verdict]:
        """The verdict on each row, given everything before it."""
        places = [self._place(row) for row in rows]
        for row, (device, _seq) in zip(rows, places, strict=True):
            number = self._numbers[row]
            self._highest[device] = highest = int(self._heads.seq[number])
            if highest >= 0:
                self._links[device, highest] = Link(self._heads.link[number].tobytes(), b"")
        self._read_gaps()
        self._look_up(rows, places)
        return [self._judge(row, *place) for row, place in zip(rows, places, strict=True)]

    def write_gaps(self) -> None:
        """Put what is missing now into the transaction."""
        closed, opened = [], []
        for device, gaps in self._gaps.items():
            before = self._gaps_before.get(device, set())
            closed += [{"name": device, "first": first} for first, _last in before.difference(gaps)]
            opened += [(device, *gap) for gap in set(gaps) - before]
        if closed:
            self._connection.execute(_CLOSE_GAP, closed)
        insert_rows(self._connection, _OPEN_GAP, opened)

    def _place(self, row: int) -> Place:
        return self._received.arrivals.device[row].tobytes(), int(self._received.arrivals.seq[row])

    def _read_gaps(self) -> None:
        table, devices = schema.gap.c, list(self._highest)
        for start in range(0, len(devices), DEVICES_PER_QUERY):
            some = devices[start : start + DEVICES_PER_QUERY]
            query = sa.select(schema.gap).where(table.device.in_(some)).order_by(table.device, table.first_seq)
            for device, first_seq, last_seq in self._connection.execute(query):
                self._gaps.setdefault(device, []).append((first_seq, last_seq))
                self._gaps_before.setdefault(device, set()).add((first_seq, last_seq))

    def _is_held(self, device: bytes, seq: int) -> bool:
        if not 0 <= seq <= self._highest[device]:
            return False
        return not any(first <= seq <= last for first, last in self._gaps.get(device, ()))

    def _look_up(self, rows: Sequence[int], places: Sequence[Place]) -> None:
        """Read what we hold around blocks at or below their heads."""
        arrivals = self._received.arrivals
        itself: dict[Place, int] = {}
        neighbours: dict[Place, int] = {}
        for row, (device, seq) in zip(rows, places, strict=True):
            start_s = int(arrivals.start_s[row])
            if self._is_held(device, seq):
                if seq < self._highest[device]:
                    itself[device, seq] = start_s
                continue
            for near in (seq - 1, seq + 1):
                if self._is_held(device, near) and not (near == seq - 1 == self._highest[device]):
                    neighbours[device, near] = start_s
        for place, kept in store.find(self._connection, itself, is_far=False).items():
            self._links[place] = Link(kept.sha256, b"")
        for place in itself:
            self._links.setdefault(place, ANOTHER)
        for place, kept in store.find(self._connection, neighbours, with_blocks=True).items():
            self._links[place] = Link(kept.sha256, _prev(kept.signed))

    def _judge(self, row: int, device: bytes, seq: int) -> Verdict:
        arrivals = self._received.arrivals
        sha256, prev = arrivals.sha256[row].tobytes(), arrivals.prev[row].tobytes()
        before = self._links.get((device, seq - 1))
        same = self._links.get((device, seq))
        if same is not None and len(same.sha256) == LINK_SIZE and same.sha256 == sha256[:LINK_SIZE]:
            same = Link(sha256, prev)  # of a head, memory has the beginning of the hash only
        after = self._links.get((device, seq + 1))
        verdict, contradicted = chain.judge(
            *(seq, prev, sha256),
            same=same,
            before=before.sha256[:LINK_SIZE] if before is not None else None,
            after=after if after is not None and after.prev else None,
        )
        if verdict is Verdict.NEW:
            self._links[device, seq] = Link(sha256, prev)
            self._hold(device, seq)
        elif verdict is Verdict.CONFLICT:
            self._conflict(row, device, seq, sha256, contradicted)
        return verdict

    def _hold(self, device: bytes, seq: int) -> None:
        """From now on the block is held: a gap begins below it, or one becomes smaller."""
        highest = self._highest[device]
        if seq > highest:
            if seq > highest + 1:
                self._gaps.setdefault(device, []).append((highest + 1, seq - 1))
            self._highest[device] = seq
            return
        self._gaps[device] = [
            part
            for first, last in self._gaps[device]
            for part in ([(first, seq - 1), (seq + 1, last)] if first <= seq <= last else [(first, last)])
            if part[0] <= part[1]
        ]

    def _conflict(self, row: int, device: bytes, seq: int, sha256: bytes, contradicted: int) -> None:
        if any(known.sha256 == sha256 for known in self.conflicts if known.device == device):
            return
        received = self._received
        self.conflicts.append(
            Conflict(
                *(device, seq, sha256, received.signed[row], int(received.received_s[row])),
                *(int(received.arrivals.start_s[row]), contradicted),
            )
        )


def _prev(signed: bytes) -> bytes:
    """Which block one names as before it; nothing if it was deleted: then only hashes can contradict."""
    return block.parse(cose.parse1(signed, size_max=block.SIGNED_SIZE_MAX).payload).prev if signed else b""


_OPEN_GAP = sa.insert(schema.gap)
_CLOSE_GAP = sa.delete(schema.gap).where(
    schema.gap.c.device == sa.bindparam("name"), schema.gap.c.first_seq == sa.bindparam("first")
)
