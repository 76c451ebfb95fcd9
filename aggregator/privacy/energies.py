"""What every site measured on a day, per 15 minutes, as statistics need it: whole days of whole sites, or nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import numbers, schema
from aggregator.privacy.cells import Day
from aggregator.settling import claim_pages, history
from aggregator.settling.interval import HELD_AS_CLAIMS, Source
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.registry import Status
from commonwatt.units import INT64_MAX, INTERVAL_S
from ledger.book.admissions import DeviceAccount
from ledger.book.body import DeviceRole

IMPORT_WH, EXPORT_WH, PRODUCTION_WH, MATCHED_WH = range(4)
"""The rows of a site's day."""

Measured = Mapping[bytes, NDArray[np.int64]]
"""By site: four rows, a column per 15 minutes, Wh."""

_Rows = dict[bytes, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class DayOfSites:
    """A settled day. `measured`: of the sites whose every meter is known at every quarter of an hour. `publics`: for
    each 15 minutes the sites behind the commune's public totals; None: they cannot be told any more."""

    day: Day
    measured: Measured
    publics: Sequence[frozenset[bytes] | None]


def read(connection: sa.Connection, devices: Sequence[DeviceAccount], day: Day) -> DayOfSites:
    """Read a day that is settled."""
    meters = [device for device in devices if device.role is not DeviceRole.SUB_METER]
    ids = [meter.device for meter in meters]
    span = (day.start_s, day.end_s)
    imports, exports = (
        dict(zip(ids, history.growth(connection, ids, quantity.number, *span), strict=True))
        for quantity in (IMPORT, EXPORT)
    )
    by_site: dict[bytes, list[DeviceAccount]] = defaultdict(list)
    for meter in meters:
        by_site[meter.site].append(meter)
    matched = _matched(connection, devices, day)
    measured = {
        site: rows
        for site, group in by_site.items()
        if (rows := _rows_of(group, imports, exports, matched.get(site))) is not None
    }
    return DayOfSites(day, measured, _publics(connection, meters, imports, day))


def is_settled(connection: sa.Connection, day: Day) -> bool:
    """Whether every interval of a day has closed."""
    last_s = connection.scalar(sa.select(sa.func.max(schema.closing.c.end_s)))
    return last_s is not None and last_s >= day.end_s


def _rows_of(
    group: Iterable[DeviceAccount], imports: _Rows, exports: _Rows, matched: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    """A site's day, if all of it is known.

    A meter that says nothing all day makes its site unknown, unless it was replaced or replaces one that spoke. A
    site without a meter at its generator is taken to produce what it exports.
    """
    rows: NDArray[np.int64] | None = None
    spoke: set[DeviceRole] = set()
    silent: set[DeviceRole] = set()
    for meter in group:
        is_main = meter.role is DeviceRole.MAIN
        known = imports[meter.device] if is_main else exports[meter.device]
        if rows is None:
            rows = np.zeros((4, known.size), dtype=np.int64)
        if (known == history.UNKNOWN).all():
            if meter.status is not Status.REVOKED:
                silent.add(meter.role)
            continue
        spoke.add(meter.role)
        exported = exports[meter.device]
        if is_main and (exported == history.UNKNOWN).all():
            exported = np.zeros_like(known)  # it has no such register
        if known.min() < 0 or exported.min() < 0:
            return None  # a gap (UNKNOWN is negative), or a register that went backwards
        rows[IMPORT_WH if is_main else PRODUCTION_WH] += known
        rows[EXPORT_WH] += exported if is_main else 0
    if rows is None or DeviceRole.MAIN not in spoke or silent - spoke:
        return None
    if DeviceRole.PRODUCTION not in spoke:
        rows[PRODUCTION_WH] = rows[EXPORT_WH]
    if matched is not None:
        rows[MATCHED_WH] = matched
    return rows


def _matched(connection: sa.Connection, devices: Iterable[DeviceAccount], day: Day) -> _Rows:
    """What each site's consumption was matched with; over a gap where it ended."""
    sites = {device.device: device.site for device in devices}
    claims = claim_pages.read(connection, day.start_s, INT64_MAX)  # late ones closed later
    is_it = (claims.source == Source.MATCHED) & (claims.end_s > day.start_s) & (claims.end_s <= day.end_s)
    here = claims.where(is_it)
    found: _Rows = {}
    names = numbers.of(connection).names(here.device)
    for device, end_s, energy_wh in zip(names, here.end_s.tolist(), here.energy_wh.tolist(), strict=True):
        slots = found.setdefault(sites[device], np.zeros(_slots(day), dtype=np.int64))
        slots[(end_s - day.start_s) // INTERVAL_S - 1] += energy_wh
    return found


def _publics(
    connection: sa.Connection, meters: Iterable[DeviceAccount], imports: _Rows, day: Day
) -> list[frozenset[bytes] | None]:
    """Who was on time, worked out anew; where late blocks came since, from the evidence that the closing knew."""
    mains = [meter for meter in meters if meter.role is DeviceRole.MAIN]
    held = _held(connection, day)
    closing, pool = schema.closing.c, schema.pool.c
    rows = connection.execute(
        sa.select(closing.end_s, closing.evidence_id_max, pool.sites)
        .join(schema.pool, pool.end_s == closing.end_s)
        .where(closing.end_s > day.start_s, closing.end_s <= day.end_s)
        .order_by(closing.end_s)
    ).all()
    publics: list[frozenset[bytes] | None] = []
    for slot, (end_s, evidence_id_max, count) in enumerate(rows):
        watched = [main for main in mains if main.device not in held.get(end_s, ())]
        sites = _grown(watched, [imports[main.device][slot] for main in watched])
        if len(sites) != count:
            ids = [main.device for main in watched]
            span = (end_s - INTERVAL_S, end_s)
            grew = history.growth(connection, ids, IMPORT.number, *span, evidence_id_max=evidence_id_max)
            sites = _grown(watched, grew[:, 0])
        publics.append(sites if len(sites) == count else None)
    return publics


def _grown(mains: Iterable[DeviceAccount], grew_wh: Iterable[np.int64]) -> frozenset[bytes]:
    return frozenset(main.site for main, wh in zip(mains, grew_wh, strict=True) if wh != history.UNKNOWN)


def _held(connection: sa.Connection, day: Day) -> Mapping[int, frozenset[bytes]]:
    """Devices whose spans were held, by the end of the interval."""
    held = schema.held.c
    found: dict[int, set[bytes]] = defaultdict(set)
    rows = connection.execute(
        sa.select(held.device, held.end_s).where(
            held.end_s > day.start_s, held.end_s <= day.end_s, held.reason.not_in(_HELD_LATER)
        )
    )
    for device, end_s in rows:
        found[end_s].add(device)
    return {end_s: frozenset(devices) for end_s, devices in found.items()}


def _slots(day: Day) -> int:
    return (day.end_s - day.start_s) // INTERVAL_S


_HELD_LATER = sorted(int(reason) for reason in HELD_AS_CLAIMS)
"""Found when a window was minted: these were in their interval's totals."""
