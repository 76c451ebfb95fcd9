"""Before a window becomes mints: sets the claims apart that its devices' last days make hard to believe."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from aggregator import schema
from aggregator.plausibility import days, site
from aggregator.settling import declarations, history, suspicion
from aggregator.settling.interval import REVIEWED, Meter, Source
from aggregator.settling.settlement import Registers
from commonwatt.refusal import Hold
from commonwatt.units import INTERVAL_S
from ledger.book.kinds import DeviceRole


def hold_suspicious(
    connection: sa.Connection, meters: Mapping[bytes, Meter], start_s: int, end_s: int, evidence_id_max: int
) -> None:
    """Move suspicious claims settled in the window `[start_s, end_s)` to `held`. What was released stays."""
    claim = schema.claim.c
    rows = connection.execute(
        sa.select(schema.claim).where(claim.closing_s > start_s, claim.closing_s <= end_s, claim.revision < REVIEWED)
    ).all()
    window = suspicion.Window(
        connection, meters, declarations.as_of(connection, end_s), start_s, end_s, evidence_id_max
    )
    contradicted = suspicion.reasons(window, [_under_review(row) for row in rows])
    of_site: dict[bytes, list[sa.Row[Any]]] = defaultdict(list)
    for row in rows:
        of_site[meters[row.device].site].append(row)
    sites = _sites_of(meters, of_site)
    for place, claims in of_site.items():
        past = _Past(connection, sites[place], end_s, evidence_id_max)
        for row in claims:
            reasons = [reason for at in range(row.start_s, row.end_s, INTERVAL_S) for reason in past.reasons(row, at)]
            if (contradiction := contradicted.get(_under_review(row))) is not None:
                reasons.append(contradiction)
            if reasons:
                _hold(connection, row, min(reasons), end_s)


def _under_review(row: sa.Row[Any]) -> suspicion.Row:
    return suspicion.Row(row.device, row.start_s, row.end_s, row.source, row.energy_wh)


def _sites_of(meters: Mapping[bytes, Meter], wanted: Collection[bytes]) -> dict[bytes, list[Meter]]:
    sites: dict[bytes, list[Meter]] = defaultdict(list)
    for meter in meters.values():
        if meter.site in wanted:
            sites[meter.site].append(meter)
    return sites


class _Past:
    """The last days of a site's meters, read when they are asked for."""

    def __init__(self, connection: sa.Connection, meters: Iterable[Meter], end_s: int, evidence_id_max: int) -> None:
        self._connection = connection
        self._end_s = end_s
        self._evidence_id_max = evidence_id_max
        self._of_role: dict[DeviceRole, list[bytes]] = {role: [] for role in DeviceRole}
        for meter in meters:
            self._of_role[meter.role].append(meter.device)
        self._readings: dict[bytes, dict[int, Registers]] = {}
        self._suspicions: dict[bytes, dict[int, Hold]] = {}

    def reasons(self, claim: sa.Row[Any], at: int) -> Iterator[Hold]:
        """Why the interval of a claim that begins then is suspicious."""
        if claim.device not in self._suspicions:
            self._suspicions[claim.device] = days.suspicions(self._of(claim.device), self._end_s)
        if at in self._suspicions[claim.device]:
            yield self._suspicions[claim.device][at]
        is_recent = self._end_s - days.LOOK_BACK_S <= at < self._end_s
        if claim.source == Source.MATCHED and is_recent and self._of_role[DeviceRole.SUB_METER]:
            roles = (DeviceRole.MAIN, DeviceRole.PRODUCTION, DeviceRole.SUB_METER)
            if site.is_exceeded(*([days.growth(self._of(d), at) for d in self._of_role[role]] for role in roles)):
                yield Hold.PLUGS_EXCEED

    def _of(self, device: bytes) -> dict[int, Registers]:
        if device not in self._readings:
            self._readings[device] = history.readings(
                *(self._connection, device, self._end_s - days.LOOK_BACK_S, self._end_s),
                evidence_id_max=self._evidence_id_max,
            )
        return self._readings[device]


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
