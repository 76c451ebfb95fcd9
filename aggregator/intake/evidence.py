"""Stage "evidence": blocks become durable, with their chains' state, in one transaction for several batches."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from aggregator import schema
from aggregator.intake import chain
from aggregator.intake.chain import Link, Verdict
from aggregator.intake.checking import Checked
from aggregator.intake.heads import Head, Heads
from aggregator.settling import open_readings
from aggregator.sql import Database, count, insert_rows
from commonwatt import block as blocks
from commonwatt import cose
from commonwatt.block import LINK_SIZE

KEYS_PER_QUERY = 2000
"""Places asked for in one query; SQLite takes 32,766 parameters, two for each."""

CONFLICTS_KEPT_MAX = 16
"""Contradicting blocks kept per device: one is proof enough, and a forger must not fill our disk."""

Place = tuple[bytes, int]
"""Device and seq."""


class Arrival(NamedTuple):
    """A checked block as received, who brought it, and the civil second of its receipt."""

    checked: Checked
    signed: bytes
    gateway: bytes
    received_s: int

    @property
    def place(self) -> Place:
        """Which block of which device."""
        return self.checked.device, self.checked.seq

    @property
    def link(self) -> Link:
        """What its neighbours are held against."""
        return Link(self.checked.sha256, self.checked.prev)


class Evidence:
    """Keeps blocks as received. The only writer of evidence, conflict, chain and reading."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction() as connection:
            self._heads = Heads(_heads(connection))

    def keep(self, arrivals: Sequence[Arrival], counted: Counter[str]) -> list[Verdict]:
        """Judge blocks in order and make the new ones durable, with the counters; one verdict each.

        Returns only when the transaction is committed; raises StorageError, and then nothing was kept.
        """
        with self._database.transaction() as connection:
            page = _Page(self._heads.of(list({arrival.checked.device for arrival in arrivals})))
            page.look_up(connection, arrivals)
            verdicts = [page.judge(arrival) for arrival in arrivals]
            page.write(connection)
            total = counted + Counter(f"blocks.{verdict.value}" for verdict in verdicts)
            total["readings.accepted"] += sum(arrival.checked.reading_count for arrival in page.new)
            count(connection, total)
        self._heads.advance(page.moved)
        return verdicts


class _Page:
    """What one transaction writes. `new`: accepted blocks in order; `moved`: the chains' new heads."""

    def __init__(self, heads: dict[bytes, Head]) -> None:
        self._heads = heads
        self._links: dict[Place, Link] = {}
        self._before = {(device, head.seq): head.link for device, head in heads.items()}
        self.new: list[Arrival] = []
        self.moved: dict[bytes, Head] = {}
        self._conflicts: dict[tuple[bytes, bytes], tuple[Arrival, int]] = {}

    def look_up(self, connection: sa.Connection, arrivals: Sequence[Arrival]) -> None:
        """Read what we hold around every block that does not simply come next; the next one needs its head alone."""
        around: dict[Place, None] = {}
        for arrival in arrivals:
            device, seq = arrival.place
            if seq <= self._heads[device].seq:
                around.update(dict.fromkeys([(device, seq - 1), (device, seq), (device, seq + 1)]))
        self._links = _links(connection, list(around))
        self._before.update({place: link.sha256[:LINK_SIZE] for place, link in self._links.items()})

    def judge(self, arrival: Arrival) -> Verdict:
        """The verdict on one block, given everything before it."""
        device, seq = arrival.place
        checked = arrival.checked
        verdict, contradicted = chain.judge(
            *(seq, checked.prev, checked.sha256),
            same=self._links.get((device, seq)),
            before=self._before.get((device, seq - 1)),
            after=self._links.get((device, seq + 1)),
        )
        if verdict is Verdict.NEW:
            self._links[device, seq] = arrival.link
            self._before[device, seq] = checked.sha256[:LINK_SIZE]
            self.new.append(arrival)
            if seq > self._heads[device].seq:
                self._heads[device] = self.moved[device] = Head(seq, checked.sha256[:LINK_SIZE])
        elif verdict is Verdict.CONFLICT:
            self._conflicts.setdefault((device, checked.sha256), (arrival, contradicted))
        return verdict

    def write(self, connection: sa.Connection) -> None:
        """Put everything judged into the transaction."""
        if self.new:
            first_id = (connection.scalar(sa.select(sa.func.max(schema.evidence.c.id))) or 0) + 1
            insert_rows(
                connection, _INSERT_EVIDENCE, [_evidence_row(first_id + at, a) for at, a in enumerate(self.new)]
            )
            insert_rows(connection, _ADVANCE_CHAIN, _chain_rows(self.new))
            readings = [row for at, arrival in enumerate(self.new) for row in _reading_rows(arrival, first_id + at)]
            open_readings.put(connection, readings)
        for (_, digest), (arrival, contradicted) in self._conflicts.items():
            _keep_conflict(connection, arrival, digest, contradicted)


def _heads(connection: sa.Connection) -> Iterator[tuple[bytes, int, bytes]]:
    """Every device's highest block, from the tables."""
    evidence, chains = schema.evidence.c, schema.chain.c
    is_highest = sa.and_(evidence.device == chains.device, evidence.seq == chains.highest_seq)
    query = sa.select(evidence.device, evidence.seq, evidence.sha256).join(schema.chain, is_highest)
    for device, seq, digest in connection.execute(query):
        yield device, seq, digest[:LINK_SIZE]


def _links(connection: sa.Connection, places: Sequence[Place]) -> dict[Place, Link]:
    table = schema.evidence.c
    columns = sa.select(table.device, table.seq, table.sha256, table.signed)
    links: dict[Place, Link] = {}
    for start in range(0, len(places), KEYS_PER_QUERY):
        keys = places[start : start + KEYS_PER_QUERY]
        for row in connection.execute(columns.where(sa.tuple_(table.device, table.seq).in_(keys))):
            links[row.device, row.seq] = Link(row.sha256, _prev(row.signed))
    return links


def _prev(signed: bytes) -> bytes:
    return blocks.parse(cose.parse1(signed, size_max=blocks.SIGNED_SIZE_MAX).payload).prev


_INSERT_EVIDENCE = sa.insert(schema.evidence)


def _evidence_row(evidence_id: int, arrival: Arrival) -> tuple[object, ...]:
    checked = arrival.checked
    return (
        *(evidence_id, checked.device, checked.seq, checked.sha256, arrival.gateway, arrival.received_s),
        *(checked.start_s, checked.end_s, arrival.signed),
    )


def _reading_rows(arrival: Arrival, evidence_id: int) -> Iterator[open_readings.Row]:
    checked = arrival.checked
    for time_s, registers in checked.readings:
        yield time_s, checked.device, checked.seq, registers, arrival.received_s, evidence_id


def _chain_rows(arrivals: Sequence[Arrival]) -> list[tuple[object, ...]]:
    """One row per device: the most of each number, and how many blocks there are."""
    rows: dict[bytes, tuple[int, int, int, int]] = {}
    for arrival in arrivals:
        checked = arrival.checked
        seq, blocks_, latest_s, received_s = rows.get(checked.device, (-1, 0, 0, 0))
        rows[checked.device] = (
            max(seq, checked.seq),
            blocks_ + 1,
            max(latest_s, checked.end_s),
            max(received_s, arrival.received_s),
        )
    return [(device, *row) for device, row in rows.items()]


def _advancing() -> sa.Insert:
    statement = sqlite_insert(schema.chain)
    old, new = schema.chain.c, statement.excluded

    def larger(name: str) -> sa.Case[int]:
        return sa.case((new[name] > old[name], new[name]), else_=old[name])

    values = {name: larger(name) for name in ("highest_seq", "latest_s", "received_s")}
    return statement.on_conflict_do_update(
        index_elements=[old.device], set_={**values, "blocks": old.blocks + new.blocks}
    )


_ADVANCE_CHAIN = _advancing()


def _keep_conflict(connection: sa.Connection, arrival: Arrival, digest: bytes, contradicted: int) -> None:
    """Keep proof of a second history, unless there is enough of it already."""
    checked, table = arrival.checked, schema.conflict
    kept = connection.scalar(sa.select(sa.func.count()).where(table.c.device == checked.device))
    if kept is not None and kept >= CONFLICTS_KEPT_MAX:
        return
    evidence_id = connection.scalar(
        sa.select(schema.evidence.c.id).where(
            schema.evidence.c.device == checked.device, schema.evidence.c.seq == contradicted
        )
    )
    row = {
        "device": checked.device,
        "seq": checked.seq,
        "sha256": digest,
        "received_s": arrival.received_s,
        "signed": arrival.signed,
        "evidence_id": evidence_id,
    }
    connection.execute(sqlite_insert(table).on_conflict_do_nothing(), row)
