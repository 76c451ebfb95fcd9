"""Before a window becomes mints: sets the claims apart that its devices' last days make hard to believe."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from aggregator import schema
from aggregator.plausibility import days
from aggregator.settling.interval import REVIEWED
from aggregator.settling.settlement import Registers
from commonwatt import block, cose
from commonwatt.refusal import Hold
from commonwatt.units import INTERVAL_S


def hold_suspicious(connection: sa.Connection, start_s: int, end_s: int, evidence_id_max: int) -> None:
    """Move suspicious claims settled in the window `[start_s, end_s)` to `held`. What was released stays."""
    claim = schema.claim.c
    rows = connection.execute(
        sa.select(schema.claim).where(claim.closing_s > start_s, claim.closing_s <= end_s, claim.revision < REVIEWED)
    )
    of_device: dict[bytes, list[sa.Row[Any]]] = defaultdict(list)
    for row in rows:
        of_device[row.device].append(row)
    for device, claims in of_device.items():
        found = days.suspicions(_readings(connection, device, end_s, evidence_id_max), end_s)
        for row in claims if found else ():
            reasons = [found[at] for at in range(row.start_s, row.end_s, INTERVAL_S) if at in found]
            if reasons:
                _hold(connection, row, min(reasons), end_s)


def _hold(connection: sa.Connection, row: sa.Row[Any], reason: Hold, closing_s: int) -> None:
    held = {
        "device": row.device,
        "start_s": row.start_s,
        "end_s": row.end_s,
        "reason": int(reason),
        "energy_wh": row.energy_wh,
        "closing_s": closing_s,
        "evidence_id": row.evidence_id,
    }
    connection.execute(sa.insert(schema.held), held)
    claim = schema.claim.c
    is_it = (claim.device == row.device, claim.start_s == row.start_s, claim.source == row.source)
    connection.execute(sa.delete(schema.claim).where(*is_it, claim.revision == row.revision))


def _readings(connection: sa.Connection, device: bytes, end_s: int, evidence_id_max: int) -> dict[int, Registers]:
    """Registers by time over the days before `end_s`; of several readings at one time that of the smallest seq."""
    evidence = schema.evidence.c
    from_s = end_s - days.LOOK_BACK_S
    query = sa.select(evidence.signed).where(
        evidence.device == device, evidence.end_s >= from_s, evidence.start_s <= end_s, evidence.id <= evidence_id_max
    )
    readings: dict[int, Registers] = {}
    for signed in connection.execute(query.order_by(evidence.seq)).scalars():
        read = block.parse(cose.parse1(signed, size_max=block.SIGNED_SIZE_MAX).payload)
        quantities = [channel.quantity for channel in read.channels]
        for time_s, values in read.readings():
            if time_s % INTERVAL_S == 0:
                readings.setdefault(time_s, dict(zip(quantities, values, strict=True)))
    return readings
