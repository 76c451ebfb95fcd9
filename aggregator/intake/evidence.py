"""Stage "evidence": blocks become durable, with their chains' state, in one transaction for several batches."""

from collections import Counter

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import schema
from aggregator.evidence import pages, store
from aggregator.intake import arrivals as columns
from aggregator.intake import heads
from aggregator.intake.arrivals import Arrivals, Readings, Received
from aggregator.intake.chain import Verdict
from aggregator.intake.unusual import Conflict, Unusual
from aggregator.observe.stages import CHAIN, EVIDENCE, Stages
from aggregator.settling import open_readings
from aggregator.sql import Database, count
from commonwatt.block import LINK_SIZE
from commonwatt.evidence_page import Integers, Page
from commonwatt.page import UNKNOWN

CONFLICTS_KEPT_MAX = 16
"""Contradicting blocks kept per device: one is proof enough, and a forger must not fill our disk."""


class Evidence:
    """Keeps blocks as received. The only writer of evidence_page, conflict, head_page, gap and reading."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction() as connection:
            self._heads = heads.load(connection)
            self._known_id = store.last_id(connection)

    @property
    def heads(self) -> heads.Heads:
        """Where each chain stands."""
        return self._heads

    def keep(self, received: Received, counted: Counter[str], stages: Stages) -> list[Verdict]:
        """Judge blocks in order and make the new ones durable, with the counters; one verdict each.

        Returns only when the transaction is committed; raises StorageError, and then nothing was kept.
        """
        arrivals = received.arrivals
        with stages.timed(EVIDENCE), self._database.transaction() as connection:
            with stages.timed(CHAIN):
                self._follow(connection)
                numbers = self._heads.of(arrivals.device)
                verdicts, conflicts = self._judge(connection, received, numbers)
            new = np.flatnonzero(verdicts == Verdict.NEW)
            first_id = store.last_id(connection) + 1
            if len(new):
                pages.append(connection, _page(received, new, first_id))
                keep = self._heads.keep_whole if self._database.is_shared else self._heads.keep
                keep(connection, len(new), first_id - 1)
                readings = columns.readings_of(arrivals, new)
                open_readings.put_columns(connection, _readings(received, new, readings, first_id))
            for conflict in conflicts:
                _keep_conflict(connection, conflict)
            total = counted + Counter(f"blocks.{verdict.value}" for verdict in verdicts)
            total["readings.accepted"] += int(arrivals.reading_count[new].sum())
            count(connection, total)
        self._heads.advance(numbers[new], arrivals.seq[new], arrivals.sha256[new, :LINK_SIZE], arrivals.end_s[new])
        self._known_id = first_id - 1 + len(new)
        return list(verdicts)

    def _judge(
        self, connection: sa.Connection, received: Received, numbers: Integers
    ) -> tuple[NDArray[np.object_], list[Conflict]]:
        """Stage "chain": blocks that go on where their device's last one ended are new, the others are looked up."""
        verdicts = np.full(len(numbers), Verdict.NEW, dtype=object)
        rest = np.flatnonzero(~_is_next(self._heads, numbers, received.arrivals))
        if not len(rest):
            return verdicts, []
        unusual = Unusual(connection, self._heads, numbers, received)
        verdicts[rest] = unusual.judge(rest.tolist())
        unusual.write_gaps()
        return verdicts, unusual.conflicts

    def _follow(self, connection: sa.Connection) -> None:
        """Take note of what other aggregators kept since our last commit. It is our turn: nobody adds to it now."""
        if not self._database.is_shared or store.last_id(connection) == self._known_id:
            return
        for page in pages.read(connection, pages.table.id_max > self._known_id, with_blocks=False):
            rows = np.flatnonzero(page.id > self._known_id)
            numbers = self._heads.of(page.device[rows])
            self._heads.advance(numbers, page.seq[rows], page.sha256[rows, :LINK_SIZE], page.end_s[rows])
        self._known_id = store.last_id(connection)


def _is_next(known: heads.Heads, numbers: Integers, arrivals: Arrivals) -> NDArray[np.bool_]:
    """Blocks of devices of which every block here simply goes on where the one before it ended."""
    order = np.argsort(numbers, kind="stable")
    number, seq, prev = numbers[order], arrivals.seq[order], arrivals.prev[order]
    is_first = np.append(True, number[1:] != number[:-1])[: len(order)]
    expected_seq = np.where(is_first, known.seq[number], np.roll(seq, 1)) + 1
    links = np.roll(arrivals.sha256[order, :LINK_SIZE], 1, axis=0)
    expected_link = np.where(is_first[:, None], known.link[number], links)
    is_next = (seq == expected_seq) & (prev == expected_link).all(axis=1)
    answer = np.empty(len(order), dtype=np.bool_)
    if len(order):
        device = np.cumsum(is_first) - 1
        answer[order] = np.logical_and.reduceat(is_next, np.flatnonzero(is_first))[device]
    return answer


def _page(received: Received, rows: Integers, first_id: int) -> Page:
    arrivals = received.arrivals
    blocks = [received.signed[row] for row in rows.tolist()]
    return Page(
        device=arrivals.device[rows],
        gateway=received.gateway[rows],
        seq=arrivals.seq[rows],
        id=np.arange(first_id, first_id + len(rows)),
        received_s=received.received_s[rows],
        start_s=arrivals.start_s[rows],
        end_s=arrivals.end_s[rows],
        size=np.fromiter(map(len, blocks), dtype=np.int64, count=len(blocks)),
        sha256=arrivals.sha256[rows],
        signed=b"".join(blocks),
    )


def _readings(received: Received, rows: Integers, readings: Readings, first_id: int) -> open_readings.Columns:
    """Readings of new blocks, those of one block and time joined."""
    row, time_s = readings.row, readings.time_s
    is_first = np.ones(len(row), dtype=np.bool_)
    is_first[1:] = (row[1:] != row[:-1]) | (time_s[1:] != time_s[:-1])
    starts, at = np.flatnonzero(is_first), np.cumsum(is_first) - 1
    of_block = row[starts]
    registers_wh: dict[int, Integers] = {}
    for quantity in np.unique(readings.quantity).tolist():
        is_it = readings.quantity == quantity
        values = registers_wh[quantity] = np.full(len(starts), UNKNOWN)
        values[at[is_it]] = readings.energy_wh[is_it]
    block = rows[of_block]
    begins_block = np.ones(len(starts), dtype=np.bool_)
    begins_block[1:] = of_block[1:] != of_block[:-1]
    return open_readings.Columns(
        time_s[starts],
        received.arrivals.device[block],
        received.arrivals.seq[block],
        received.received_s[block],
        first_id + of_block,
        np.where(begins_block, received.arrivals.flags[block], 0),
        registers_wh,
    )


def _keep_conflict(connection: sa.Connection, conflict: Conflict) -> None:
    """Keep proof of a second history, unless there is enough of it already."""
    table = schema.conflict
    is_device = table.c.device == conflict.device
    kept = connection.scalar(sa.select(sa.func.count()).where(is_device)) or 0
    is_known = connection.scalar(sa.select(table.c.id).where(is_device, table.c.sha256 == conflict.sha256))
    if kept >= CONFLICTS_KEPT_MAX or is_known is not None:
        return
    place = (conflict.device, conflict.contradicted)
    contradicted = store.find(connection, {place: conflict.start_s}).get(place)
    row = {
        "device": conflict.device,
        "seq": conflict.seq,
        "sha256": conflict.sha256,
        "received_s": conflict.received_s,
        "signed": conflict.signed,
        "evidence_id": contradicted and contradicted.id,
    }
    connection.execute(sa.insert(table), row)
