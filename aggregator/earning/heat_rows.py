"""Reads what heat meters counted, holds what is hard to believe, and pays what a steward released."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import sqlalchemy as sa

from aggregator import schema
from aggregator.commune.enacted import Known
from aggregator.earning import heat
from aggregator.earning.earned import Earned
from aggregator.earning.heat import Times
from aggregator.earning.proofs import Proofs
from aggregator.settling import history
from aggregator.settling.interval import HeldSpan, Meter
from aggregator.settling.settlement import Registers
from aggregator.sql import upsert
from commonwatt.quantities import HEAT
from ledger.book import mint
from ledger.book.kinds import DeviceRole


def earned(
    connection: sa.Connection,
    meters: Mapping[bytes, Meter],
    known: Known,
    window_s: Times,
    frozen: frozenset[bytes],
    evidence_id_max: int,
) -> Iterator[Earned]:
    """What heat meters counted since they were looked at last, before the first time nothing; and what was released
    in the window, which has just closed. Notes both, and what is held."""
    for meter in meters.values():
        if meter.role is DeviceRole.PRODUCTION:
            yield from _counted(connection, meter, window_s, meter.device in frozen, evidence_id_max)
    yield from _released(connection, meters, known, window_s, evidence_id_max)


def counts_heat_alone(connection: sa.Connection, device: bytes, time_s: int) -> bool:
    """Whether the device's reading at a time, which a closing has taken, has a register of heat and none of energy
    that was produced."""
    registers = history.readings(connection, device, time_s, time_s).get(time_s, {})
    return heat.counts_heat_alone(registers)


def _counted(
    connection: sa.Connection, meter: Meter, window_s: Times, is_frozen: bool, evidence_id_max: int
) -> Iterator[Earned]:
    start_s, end_s = window_s
    from_s = _looked_until_s(connection, meter.device) or start_s
    readings = history.readings(connection, meter.device, from_s, end_s, evidence_id_max=evidence_id_max)
    times_s = [time_s for time_s, registers in readings.items() if HEAT.number in registers]
    if not times_s:
        return
    proofs = Proofs(connection, meter.device, from_s, end_s, evidence_id_max=evidence_id_max)
    held = _held(connection, meter.device, from_s)
    for row in heat.earned(meter, readings, is_frozen=is_frozen, held=held):
        yield replace(row, proof=proofs.of(row.end_s))
    waiting = [
        replace(span, evidence_id=proofs.block_of(span.end_s).id)
        for span in heat.suspicious(meter, readings, is_frozen=is_frozen, held=held)
    ]
    if waiting:
        connection.execute(sa.insert(schema.held), [_held_row(span, end_s) for span in waiting])
    looked = {"source": mint.SOURCE_HEAT, "subject": meter.device, "until_s": max(times_s)}
    connection.execute(upsert(schema.looked), looked)


def _released(
    connection: sa.Connection, meters: Mapping[bytes, Meter], known: Known, window_s: Times, evidence_id_max: int
) -> Iterator[Earned]:
    """Spans whose review the window's closings were the first to know."""
    first, last = (_log_size(connection, time_s) for time_s in window_s)
    for review in known.reviews:
        meter = meters.get(review.device)
        if not first <= review.place < last or not review.is_granted:
            continue
        if meter is None or meter.role is not DeviceRole.PRODUCTION:
            continue
        table = schema.held.c
        query = sa.select(table.start_s, table.end_s).where(
            table.device == review.device, table.start_s == review.start_s, table.review_place == review.place
        )
        span = connection.execute(query).one_or_none()
        if span is None:
            continue
        readings = history.readings(connection, meter.device, *span, evidence_id_max=evidence_id_max)
        growth_wh = _growth_wh(readings, *span)
        if growth_wh is None:
            continue
        is_alone = heat.counts_heat_alone(readings[span.end_s])
        true_wh = review.energy_wh if review.energy_wh is not None and is_alone else growth_wh
        energy_wh = true_wh - _earned_wh(connection, meter.device, *span)
        if energy_wh > 0:
            proof = Proofs(connection, meter.device, *span, evidence_id_max=evidence_id_max).of(span.end_s)
            yield replace(heat.released(meter, (span.start_s, span.end_s), energy_wh), proof=proof)


def _growth_wh(readings: Mapping[int, Registers], start_s: int, end_s: int) -> int | None:
    """What the register of heat grew; None if it is not known at both ends."""
    ends = [readings.get(time_s, {}).get(HEAT.number) for time_s in (start_s, end_s)]
    return None if ends[0] is None or ends[1] is None else ends[1] - ends[0]


def _earned_wh(connection: sa.Connection, device: bytes, start_s: int, end_s: int) -> int:
    """What spans within it earned before."""
    table = schema.earned.c
    is_it = (table.source == mint.SOURCE_HEAT, table.thing == device, table.start_s >= start_s, table.end_s <= end_s)
    return int(connection.scalar(sa.select(sa.func.sum(table.energy_wh)).where(*is_it)) or 0)


def _held(connection: sa.Connection, device: bytes, from_s: int) -> list[Times]:
    """Spans of the device that end after a time and wait, or waited, for a steward."""
    table = schema.held.c
    query = sa.select(table.start_s, table.end_s).where(table.device == device, table.end_s > from_s)
    return [(row.start_s, row.end_s) for row in connection.execute(query)]


def _held_row(span: HeldSpan, closing_s: int) -> dict[str, object]:
    place = {"device": span.device, "start_s": span.start_s, "end_s": span.end_s}
    figures = {"reason": int(span.reason), "energy_wh": span.energy_wh, "evidence_id": span.evidence_id}
    return {**place, **figures, "closing_s": closing_s}


def _looked_until_s(connection: sa.Connection, device: bytes) -> int | None:
    table = schema.looked.c
    is_it = (table.source == mint.SOURCE_HEAT, table.subject == device)
    return connection.scalar(sa.select(table.until_s).where(*is_it))


def _log_size(connection: sa.Connection, end_s: int) -> int:
    """How much of the log the closing of the interval that ends then knew; 0 before the first."""
    closing = schema.closing.c
    return connection.scalar(sa.select(closing.log_size).where(closing.end_s == end_s)) or 0
