"""Before a window becomes mints: sets the claims apart that its devices' last days make hard to believe."""

from collections.abc import Mapping

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import numbers, schema
from aggregator.plausibility import days, series_columns, site
from aggregator.settling import claim_pages, declarations, history
from aggregator.settling.claim_pages import Claims
from aggregator.settling.history import Past
from aggregator.settling.interval import REVIEWED, Meter, Source
from aggregator.settling.meters import Meters
from aggregator.settling.suspicion import Neighbours, Window, contradicted
from commonwatt.lookup import distinct
from commonwatt.page import UNKNOWN, Integers
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.refusal import Hold
from commonwatt.units import INTERVAL_S
from ledger.book.kinds import DeviceRole

_NO_HOLD = 0


def hold_suspicious(
    connection: sa.Connection,
    meters: Meters,
    by_id: Mapping[bytes, Meter],
    span_s: tuple[int, int],
    evidence_id_max: int,
) -> None:
    """Move suspicious claims settled in the window `span_s` to `held`. What was released stays. `by_id`: the same
    meters as a directory has them."""
    start_s, end_s = span_s
    claims = claim_pages.read(connection, start_s, end_s)
    reasons = np.zeros(len(claims), dtype=np.int64)
    open_rows = np.flatnonzero(claims.revision < REVIEWED)
    from_s = max(end_s - days.LOOK_BACK_S, history.first_s(connection) or 0)
    window = Window(connection, by_id, declarations.as_of(connection, end_s), start_s, end_s, evidence_id_max)
    neighbours = Neighbours(window, meters.sites)
    for devices in history.chunks(distinct(claims.device[open_rows])):
        past = history.past(connection, devices, from_s, end_s, evidence_id_max=evidence_id_max)
        rows = open_rows[np.isin(claims.device[open_rows], devices)]
        reasons[rows] = _of_series(past, claims.where(rows))
        neighbours.add(past)
    exceeded = _plugs_exceed(connection, meters, claims, (from_s, end_s), evidence_id_max)
    reasons[exceeded & (reasons == _NO_HOLD) & (claims.revision < REVIEWED)] = Hold.PLUGS_EXCEED
    free = open_rows[reasons[open_rows] == _NO_HOLD]
    reasons[free] = contradicted(window, claims.where(free))
    free = free[reasons[free] == _NO_HOLD]
    reasons[free[neighbours.repeat(claims.where(free))]] = Hold.TWIN
    if reasons.any():
        _hold(connection, claims, reasons, end_s)


def _of_series(past: Past, claims: Claims) -> Integers:
    """Why claims are suspicious by their device's own series: the smallest reason of any interval of their span."""
    columns = np.searchsorted(past.devices, claims.device)
    count = len(past.is_read()) - 1
    first, end = (
        np.clip((times_s - past.start_s) // INTERVAL_S, 0, count) for times_s in (claims.start_s, claims.end_s)
    )
    reasons = np.zeros(len(claims), dtype=np.int64)
    for reason, check in ((Hold.COPIED, series_columns.copied), (Hold.STUCK, series_columns.stuck)):
        for quantity in past.registers_wh:
            found = check(past.steps_wh(quantity))
            before = np.zeros((count + 1, len(past.devices)), dtype=np.int32)
            np.cumsum(found, axis=0, out=before[1:])
            reasons[before[end, columns] > before[first, columns]] = reason  # the smaller one last
    return reasons


def _plugs_exceed(
    connection: sa.Connection, meters: Meters, claims: Claims, span_s: tuple[int, int], evidence_id_max: int
) -> NDArray[np.bool_]:
    """Which claims of matched energy have an interval in which the plugs of their site used more than the home."""
    exceeded = np.zeros(len(claims), dtype=np.bool_)
    with_plugs = distinct(meters.sites[meters.roles == DeviceRole.SUB_METER])
    rows = np.flatnonzero((claims.source == Source.MATCHED) & np.isin(meters.sites[claims.device], with_plugs))
    if not len(rows):
        return exceeded
    wanted_sites = distinct(meters.sites[claims.device[rows]])
    devices = np.flatnonzero((meters.roles > 0) & np.isin(meters.sites, wanted_sites))
    start_s = max(span_s[0], int(claims.start_s[rows].min()))
    past = history.past(connection, devices, start_s, span_s[1], evidence_id_max=evidence_id_max)
    at_site = np.searchsorted(wanted_sites, meters.sites[devices])
    found = _site_exceeds(past, meters.roles[devices], at_site, len(wanted_sites))
    before = np.zeros((len(found) + 1, len(wanted_sites)), dtype=np.int64)
    np.cumsum(found, axis=0, out=before[1:])
    first, end = (
        np.clip((times_s[rows] - start_s) // INTERVAL_S, 0, len(found)) for times_s in (claims.start_s, claims.end_s)
    )
    of_claim = np.searchsorted(wanted_sites, meters.sites[claims.device[rows]])
    exceeded[rows] = before[end, of_claim] > before[first, of_claim]
    return exceeded


def _site_exceeds(past: Past, roles: Integers, at_site: Integers, sites: int) -> NDArray[np.bool_]:
    """`site.is_exceeded` for every interval (rows) and site (columns)."""
    is_read = past.is_read()
    is_known = is_read[1:] & is_read[:-1]
    grown_wh = {
        quantity.number: np.where((steps := past.steps_wh(quantity.number)) == UNKNOWN, 0, steps)
        for quantity in (IMPORT, EXPORT)
    }

    def by_site(values: Integers, role: DeviceRole) -> Integers:
        total = np.zeros((len(is_known), sites), dtype=np.int64)
        of_role = roles == role
        np.add.at(total.T, at_site[of_role], values[:, of_role].T)
        return total

    known = is_known.astype(np.int64)
    is_main, is_producer = (np.bincount(at_site[roles == role], minlength=sites) for role in _MEASURING)
    knows_all = (is_main > 0) & (by_site(known, DeviceRole.MAIN) == is_main)
    knows_all &= by_site(known, DeviceRole.PRODUCTION) == is_producer
    used_wh = by_site((grown_wh[IMPORT.number] - grown_wh[EXPORT.number]) * known, DeviceRole.MAIN)
    used_wh += by_site(grown_wh[EXPORT.number] * known, DeviceRole.PRODUCTION)
    plugs = by_site(known, DeviceRole.SUB_METER)
    plugs_wh = by_site(grown_wh[IMPORT.number] * known, DeviceRole.SUB_METER)
    margin_wh = np.maximum(site.NOISE_WH_MIN, np.maximum(used_wh, 0) * site.NOISE_PERMILLE // 1000)
    exceeds = plugs_wh > used_wh + margin_wh + site.ROUNDING_WH * plugs
    known_to: NDArray[np.bool_] = exceeds & knows_all & (plugs > 0)
    return known_to


_MEASURING = (DeviceRole.MAIN, DeviceRole.PRODUCTION)


def _hold(connection: sa.Connection, claims: Claims, reasons: Integers, closing_s: int) -> None:
    rows = np.flatnonzero(reasons)
    held = claims.where(rows)
    columns = zip(
        numbers.of(connection).names(held.device),
        *(column.tolist() for column in (held.start_s, held.end_s, reasons[rows], held.energy_wh, held.evidence_id)),
        strict=True,
    )
    names = ("device", "start_s", "end_s", "reason", "energy_wh", "evidence_id")
    connection.execute(
        sa.insert(schema.held),
        [{**dict(zip(names, row, strict=True)), "closing_s": closing_s} for row in columns],
    )
    claim_pages.remove(connection, claims, reasons != _NO_HOLD)
