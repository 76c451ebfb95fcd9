"""The same as interval.close for a whole commune at once: spans on time in columns, the exceptions one by one.

Pure; test_interval_columns.py holds one against the other.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from aggregator.numbers import Numbers
from aggregator.plausibility import spans_columns
from aggregator.settling import interval, matching_columns
from aggregator.settling.interval import PERMILLE, Claim, HeldSpan, Meter, Source
from aggregator.settling.matching import Matched
from aggregator.settling.meters import Meters
from aggregator.settling.settlement import Span
from aggregator.settling.settlement_columns import Spans
from commonwatt.page import UNKNOWN, Integers
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.refusal import Hold
from commonwatt.units import INT64_MAX, INTERVAL_S
from ledger.book.kinds import DeviceRole


@dataclass(frozen=True, slots=True)
class OnTime:
    """The claims of revision 0 of one interval in columns. `devices`, `accounts`: numbers."""

    devices: Integers
    sources: Integers
    energy_wh: Integers
    accounts: Integers
    evidence_ids: Integers


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing one interval gave: `on_time` claims of the interval, the others in `claims`; the rest as in
    interval.Closed, the shares left out."""

    pool: Matched
    on_time: OnTime
    claims: tuple[Claim, ...]
    held: tuple[HeldSpan, ...]
    left_wh: Mapping[int, int]
    sites: int
    largest_supply_wh: int
    largest_demand_wh: int
    second_supply_wh: int
    second_demand_wh: int


@dataclass(frozen=True, slots=True)
class Commune:
    """Who has meters. `columns` by number, `meters` by id, `frozen`: numbers."""

    numbers: Numbers
    columns: Meters
    meters: Mapping[bytes, Meter]
    frozen: Integers


def close(
    end_s: int,
    spans: Spans,
    *,
    commune: Commune,
    unallocated_wh: Callable[[Iterable[Span | HeldSpan]], Mapping[int, int]],
    released: Iterable[HeldSpan] = (),
) -> Closed:
    """Close `[end_s − 900, end_s)`. `unallocated_wh`: of the closed intervals that some spans touch, by the end of
    the interval; asked once, for those that are not on time."""
    columns = commune.columns
    frozen = np.isin(spans.devices, commune.frozen)
    reasons = spans_columns.holds(spans, columns.rated_power_w[spans.devices], frozen)
    is_on_time = (spans.ends_s == end_s) & (spans.starts_s == end_s - INTERVAL_S)
    held = [
        interval.held_span(span, meter, Hold(int(reasons[row])))
        for row, span, meter in _one_by_one(spans, np.flatnonzero(reasons), commune)
    ]
    is_kept = reasons == spans_columns.NO_HOLD
    afterwards = [
        (span, meter) for _row, span, meter in _one_by_one(spans, np.flatnonzero(is_kept & ~is_on_time), commune)
    ]
    on_time, pool, nets_wh = _close_on_time(spans, np.flatnonzero(is_kept & is_on_time), columns)
    exceptions: list[Span | HeldSpan] = [*(span for span, _meter in afterwards), *released]
    before_wh = unallocated_wh(exceptions) if exceptions else {}
    left_wh = {**before_wh, end_s: pool.unallocated_wh}
    claims = [
        *interval.claims_afterwards(afterwards, left_wh),
        *interval.claims_released(released, commune.meters, left_wh),
    ]
    # The two at either end; noughts where fewer homes gave or asked for anything.
    second_supply_wh, largest_supply_wh = np.partition(np.append(np.maximum(-nets_wh, 0), [0, 0]), -2)[-2:].tolist()
    second_demand_wh, largest_demand_wh = np.partition(np.append(np.maximum(nets_wh, 0), [0, 0]), -2)[-2:].tolist()
    return Closed(
        pool,
        on_time,
        tuple(claim for claim in claims if claim.energy_wh > 0),
        tuple(held),
        {end: wh for end, wh in left_wh.items() if before_wh.get(end) != wh},
        len(nets_wh),
        largest_supply_wh=largest_supply_wh,
        largest_demand_wh=largest_demand_wh,
        second_supply_wh=second_supply_wh,
        second_demand_wh=second_demand_wh,
    )


def _one_by_one(spans: Spans, rows: Integers, commune: Commune) -> list[tuple[int, Span, Meter]]:
    """Some spans as the plain functions take them, by device and time."""
    in_order = rows[np.lexsort((spans.starts_s[rows], commune.columns.ranks[spans.devices[rows]]))]
    devices = commune.numbers.names(spans.devices[in_order])
    return [
        (row, spans.span(row, device), commune.meters[device])
        for row, device in zip(in_order.tolist(), devices, strict=True)
    ]


def _close_on_time(spans: Spans, rows: Integers, meters: Meters) -> tuple[OnTime, Matched, Integers]:
    """The claims of the spans on time, the pool without its shares, and what each site's main meters measured."""
    devices = spans.devices[rows]
    roles = meters.roles[devices]
    imported, exported = (_growth(spans, quantity.number, rows) for quantity in (IMPORT, EXPORT))
    unsold_permille = meters.unsold_permille[devices]
    made_wh = np.where(roles == DeviceRole.PRODUCTION, exported * unsold_permille // PERMILLE, 0)
    made = np.flatnonzero(made_wh)
    mains = np.flatnonzero(roles == DeviceRole.MAIN)
    mains = mains[np.argsort(meters.ranks[devices[mains]], kind="stable")]
    # The first of each site is the one with the smallest id: the site's share is claimed under it.
    _sites, first, site_of = np.unique(meters.sites[devices[mains]], return_index=True, return_inverse=True)
    measured_wh = imported[mains] - exported[mains]
    largest_wh = int(np.abs(measured_wh).max(initial=0))
    assert largest_wh * len(mains) <= INT64_MAX // PERMILLE, "ratings keep spans on time small"
    nets_wh = np.zeros(len(first), dtype=np.int64)
    np.add.at(nets_wh, site_of, measured_wh)
    unsold_wh = -(-nets_wh * unsold_permille[mains[first]] // PERMILLE)
    nets_wh = np.where(nets_wh < 0, unsold_wh, nets_wh)
    supply_wh, demand_wh = -int(nets_wh[nets_wh < 0].sum()), int(nets_wh[nets_wh > 0].sum())
    pool = Matched(supply_wh, demand_wh, min(supply_wh, demand_wh), {})
    asking = np.flatnonzero(nets_wh > 0)
    firsts = mains[first]
    shares_wh = matching_columns.shares_wh(pool.matched_wh, nets_wh[asking], meters.ranks[devices[firsts[asking]]])
    served = np.flatnonzero(shares_wh)
    of_claim = np.concatenate([made, firsts[asking[served]]])
    on_time = OnTime(
        devices[of_claim],
        np.repeat([int(Source.PRODUCTION), int(Source.MATCHED)], [len(made), len(served)]),
        np.concatenate([made_wh[made], shares_wh[served]]),
        meters.accounts[devices[of_claim]],
        spans.evidence_ids[rows][of_claim],
    )
    return on_time, pool, nets_wh


def _growth(spans: Spans, quantity: int, rows: Integers) -> Integers:
    """What a register grew, 0 where a span says nothing of it."""
    if quantity not in spans.growth_wh:
        return np.zeros(len(rows), dtype=np.int64)
    growth_wh = spans.growth_wh[quantity][rows]
    return np.where(growth_wh == UNKNOWN, 0, growth_wh)
