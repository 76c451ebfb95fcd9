"""Stage "evidence": blocks become durable, with their chains' state, in one transaction for several batches."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from aggregator import chain, registers, schema
from aggregator.chain import Link, Verdict
from aggregator.sql import Database, count
from commonwatt import block as blocks
from commonwatt import cose
from commonwatt.registry import Verified
from commonwatt.transport import sha256
from commonwatt.units import INTERVAL_S

KEYS_PER_QUERY = 2000
"""Places asked for in one query; SQLite takes 32,766 parameters, two for each."""

CONFLICTS_KEPT_MAX = 16
"""Contradicting blocks kept per device: one is proof enough, and a forger must not fill our disk."""

Place = tuple[bytes, int]
"""Device and seq."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified block, who brought it, and the civil second of its receipt."""

    verified: Verified
    gateway: bytes
    received_s: int


class Evidence:
    """Keeps blocks as received. The only writer of evidence, conflict, chain and reading."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, arrivals: Sequence[Arrival], counted: Counter[str]) -> list[Verdict]:
        """Judge blocks in order and make the new ones durable, with the counters; one verdict each.

        Returns only when the transaction is committed; raises StorageError, and then nothing was kept.
        """
        with self._database.transaction() as connection:
            page = _Page(arrivals, _links(connection, _places(arrivals)))
            verdicts = [page.judge(arrival) for arrival in arrivals]
            page.write(connection)
            total = counted + Counter(f"blocks.{verdict.value}" for verdict in verdicts)
            total["readings.accepted"] += _readings_in(arrivals, verdicts)
            count(connection, total)
        return verdicts


def _readings_in(arrivals: Sequence[Arrival], verdicts: Sequence[Verdict]) -> int:
    """Readings in the blocks that were accepted: one register vector each."""
    blocks = [a.verified.block for a, verdict in zip(arrivals, verdicts, strict=True) if verdict is Verdict.NEW]
    return sum(len(block.channels[0].increments_wh) + 1 for block in blocks)


class _Page:
    """What one transaction writes."""

    def __init__(self, arrivals: Sequence[Arrival], links: dict[Place, Link]) -> None:
        self._links = links
        self._new: list[tuple[Arrival, bytes]] = []
        self._conflicts: dict[tuple[bytes, bytes], tuple[Arrival, int]] = {}

    def judge(self, arrival: Arrival) -> Verdict:
        """The verdict on one block, given everything before it."""
        device, block = arrival.verified.device, arrival.verified.block
        digest = sha256(arrival.verified.signed)
        verdict, contradicted = chain.judge(
            block,
            digest,
            same=self._links.get((device, block.seq)),
            before=self._links.get((device, block.seq - 1)),
            after=self._links.get((device, block.seq + 1)),
        )
        if verdict is Verdict.NEW:
            self._links[device, block.seq] = Link(digest, block.prev)
            self._new.append((arrival, digest))
        elif verdict is Verdict.CONFLICT:
            self._conflicts.setdefault((device, digest), (arrival, contradicted))
        return verdict

    def write(self, connection: sa.Connection) -> None:
        """Put everything judged into the transaction."""
        if self._new:
            rows = [_evidence_row(arrival, digest) for arrival, digest in self._new]
            insert = sa.insert(schema.evidence).returning(schema.evidence.c.id, sort_by_parameter_order=True)
            ids = list(connection.execute(insert, rows).scalars())
            connection.execute(_ADVANCE_CHAIN, _chain_rows([arrival for arrival, _ in self._new]))
            readings = [
                row for (arrival, _), id_ in zip(self._new, ids, strict=True) for row in _readings(arrival, id_)
            ]
            if readings:
                connection.execute(sa.insert(schema.reading), readings)
        for (_, digest), (arrival, contradicted) in self._conflicts.items():
            _keep_conflict(connection, arrival, digest, contradicted)


def _places(arrivals: Sequence[Arrival]) -> list[Place]:
    """Every place whose block bears on these: their own and their neighbours'."""
    around: dict[Place, None] = {}
    for arrival in arrivals:
        device, seq = arrival.verified.device, arrival.verified.block.seq
        around.update(dict.fromkeys([(device, seq - 1), (device, seq), (device, seq + 1)]))
    return list(around)


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


def _evidence_row(arrival: Arrival, digest: bytes) -> dict[str, Any]:
    verified = arrival.verified
    return {
        "device": verified.device,
        "seq": verified.block.seq,
        "sha256": digest,
        "gateway": arrival.gateway,
        "received_s": arrival.received_s,
        "start_s": verified.block.start_s,
        "end_s": verified.block.end_s,
        "signed": verified.signed,
    }


def _chain_rows(arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    """One row per device: the most of each number, and how many blocks there are."""
    rows: dict[bytes, dict[str, Any]] = {}
    for arrival in arrivals:
        device, block = arrival.verified.device, arrival.verified.block
        row = rows.setdefault(
            device, {"device": device, "highest_seq": -1, "blocks": 0, "latest_s": 0, "received_s": 0}
        )
        row["highest_seq"] = max(row["highest_seq"], block.seq)
        row["blocks"] += 1
        row["latest_s"] = max(row["latest_s"], block.end_s)
        row["received_s"] = max(row["received_s"], arrival.received_s)
    return list(rows.values())


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


def _readings(arrival: Arrival, evidence_id: int) -> Iterator[dict[str, Any]]:
    """The block's readings that settlement looks at."""
    block = arrival.verified.block
    quantities = [channel.quantity for channel in block.channels]
    for time_s, registers_wh in block.readings():
        if time_s % INTERVAL_S == 0:
            yield {
                "time_s": time_s,
                "device": arrival.verified.device,
                "seq": block.seq,
                "registers": registers.encode(dict(zip(quantities, registers_wh, strict=True))),
                "received_s": arrival.received_s,
                "evidence_id": evidence_id,
            }


def _keep_conflict(connection: sa.Connection, arrival: Arrival, digest: bytes, contradicted: int) -> None:
    """Keep proof of a second history, unless there is enough of it already."""
    verified, table = arrival.verified, schema.conflict
    kept = connection.scalar(sa.select(sa.func.count()).where(table.c.device == verified.device))
    if kept is not None and kept >= CONFLICTS_KEPT_MAX:
        return
    evidence_id = connection.scalar(
        sa.select(schema.evidence.c.id).where(
            schema.evidence.c.device == verified.device, schema.evidence.c.seq == contradicted
        )
    )
    row = {
        "device": verified.device,
        "seq": verified.block.seq,
        "sha256": digest,
        "received_s": arrival.received_s,
        "signed": verified.signed,
        "evidence_id": evidence_id,
    }
    connection.execute(sqlite_insert(table).on_conflict_do_nothing(), row)
