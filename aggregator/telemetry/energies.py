"""What cells took, gave and made in an interval that has closed, as far as it may be told. The sums are pure.

Who stands behind an interval is who was settled on time: what came later changes nothing that was told. Figures that
follow from each other are told together or not at all:

    import − export = demand − supply, so import and export go out together, beside supply and demand or not at all;
    matched follows supply and demand; used = import + solar − export.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import numbers, schema
from aggregator.privacy import public
from aggregator.privacy.levels import Levels
from aggregator.privacy.rule import Withheld
from aggregator.settling import claim_pages, history
from aggregator.settling.interval import HELD_AS_CLAIMS, Source
from aggregator.telemetry.cells import Cell, Commune
from aggregator.telemetry.measurements import COMMUNE, MEASUREMENTS
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INTERVAL_S

PER_HOUR = 3600 // INTERVAL_S
PERMILLE = 1000
_HELD_LATER = sorted(int(reason) for reason in HELD_AS_CLAIMS)

Energies = NDArray[np.int64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """One closed interval by site. `is_known`: whose main meters were settled on time; energies of others are 0.
    `total`: the public totals. Of a home without a meter at its generator, or whose meter says nothing, solar is what
    it exports: leaving it out would set totals over fewer homes beside totals over all."""

    start_s: int
    total: public.PublicTotal
    is_known: Truths
    import_wh: Energies
    export_wh: Energies
    solar_wh: Energies
    matched_wh: Energies


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a cell: the figures, and over which sites (by number) they are totals."""

    cell: Cell
    figures: Mapping[str, int]
    sites: NDArray[np.int64]


def read(connection: sa.Connection, commune: Commune, rows: Sequence[sa.Row[Any]]) -> Iterator[Interval]:
    """Intervals by site; `rows`: of `public.since`, in order. What closed in one commit is read at once."""
    for _known_until, group in groupby(rows, key=lambda row: row.evidence_id_max):
        yield from _read(connection, commune, list(group))


def _read(connection: sa.Connection, commune: Commune, rows: Sequence[sa.Row[Any]]) -> Iterator[Interval]:
    mains, generators = list(commune.mains), list(commune.generators)
    first_s, evidence_id_max = rows[0].end_s - INTERVAL_S, rows[0].evidence_id_max

    def grew(devices: list[bytes], quantity: int) -> Energies:
        span = (first_s, rows[-1].end_s)
        return history.growth(connection, devices, quantity, *span, evidence_id_max=evidence_id_max)

    imports, exports = (grew(mains, quantity.number) for quantity in (IMPORT, EXPORT))
    made = grew(generators, EXPORT.number)
    for row in rows:
        at = (row.end_s - INTERVAL_S - first_s) // INTERVAL_S
        held = _held(connection, row.end_s)
        columns = (imports[:, at], exports[:, at], made[:, at])
        yield _by_site(commune, public.of_row(row), held, *columns, _matched(connection, commune, row.end_s))


def _by_site(
    commune: Commune,
    total: public.PublicTotal,
    held: frozenset[bytes],
    imported: Energies,
    exported: Energies,
    made: Energies,
    matched_wh: Energies,
) -> Interval:
    """What meters measured as what sites did. `held`: devices of which nothing counts."""
    count = len(commune.sites)

    def sums(values: Energies, sites: Energies, is_it: Truths) -> Energies:
        found = np.zeros(count, dtype=np.int64)
        np.add.at(found, sites[is_it], np.where(values[is_it] == history.UNKNOWN, 0, values[is_it]))
        return found

    is_read = (imported != history.UNKNOWN) & np.array([device not in held for device in commune.mains], dtype=bool)
    is_made = (made >= 0) & np.array([device not in held for device in commune.generators], dtype=bool)
    is_known = np.zeros(count, dtype=bool)
    is_known[commune.site_of_main[is_read]] = True
    is_made_known = np.zeros(count, dtype=bool)
    is_made_known[commune.site_of_generator] = True
    is_made_known[commune.site_of_generator[~is_made]] = False
    import_wh, export_wh = (sums(values, commune.site_of_main, is_read) for values in (imported, exported))
    solar_wh = np.where(is_made_known, sums(made, commune.site_of_generator, is_made), export_wh)
    energies = (np.where(is_known, wh, 0) for wh in (import_wh, export_wh, solar_wh, matched_wh))
    return Interval(total.start_s, total, is_known, *energies)


def _held(connection: sa.Connection, end_s: int) -> frozenset[bytes]:
    """Devices whose spans were held when the interval closed."""
    held = schema.held.c
    rows = connection.execute(
        sa.select(held.device).where(held.end_s == end_s, held.reason.not_in(_HELD_LATER))
    ).scalars()
    return frozenset(rows)


def _matched(connection: sa.Connection, commune: Commune, end_s: int) -> Energies:
    """What each site's demand of the interval was matched with when it closed."""
    claims = claim_pages.read(connection, end_s - 1, end_s)
    claims = claims.where((claims.source == Source.MATCHED) & (claims.end_s == end_s) & (claims.revision == 0))
    sums = np.zeros(len(commune.sites), dtype=np.int64)
    names = numbers.of(connection).names(claims.device)
    for device, energy_wh in zip(names, claims.energy_wh.tolist(), strict=True):
        if (site := commune.site_of_device.get(device)) is not None:
            sums[site] += energy_wh
    return sums


MayBeTold = Callable[[frozenset[bytes]], Withheld | None]
"""Why a total over these sites may not be told beside what other ways out told of the same time, or None."""


def tell(
    commune: Commune, interval: Interval, withheld: Counter[str], may_be_told: MayBeTold = lambda _sites: None
) -> Iterator[Told]:
    """The cells of an interval, those of which anything may be told. `withheld`: counts what may not, by reason."""
    net_wh = interval.export_wh - interval.import_wh
    supply_wh, demand_wh = np.maximum(net_wh, 0), np.maximum(-net_wh, 0)
    is_whole = int(interval.is_known.sum()) == interval.total.sites
    demand, supply = Levels((demand_wh, interval.import_wh)), Levels((supply_wh, interval.export_wh))
    solar = Levels((interval.solar_wh,))
    for cell in commune.cells:
        known = cell.sites[interval.is_known[cell.sites]]
        reasons: tuple[Withheld | None, ...] = (Withheld.NOT_RECORDED,) * 3
        if is_whole:
            reason = may_be_told(commune.ids(known)) if len(known) else None
            reasons = (reason,) * 3 if reason else (demand.tell(known), supply.tell(known), solar.tell(known))
        withheld.update(f"withheld.{reason.value}" for reason in reasons if reason is not None)
        figures = _figures(interval, known, demand_wh, supply_wh, reasons)
        if cell.key == COMMUNE:
            figures = _as_settled(figures, interval.total)
        if figures:
            expected = int((commune.is_expected[cell.sites] | interval.is_known[cell.sites]).sum())
            yield Told(cell, _with_ratios(figures, cell, len(known), expected), known)


def _figures(
    interval: Interval,
    sites: NDArray[np.int64],
    demand_wh: Energies,
    supply_wh: Energies,
    reasons: Sequence[Withheld | None],
) -> dict[str, int]:
    """The sums that may be told. `reasons`: why not demand, supply, solar."""
    has_demand, has_supply, has_solar = (reason is None for reason in reasons)
    figures: dict[str, int] = {}
    if has_demand:
        figures |= {"demand_wh": _sum(demand_wh, sites), "import_wh": _sum(interval.import_wh, sites)}
    if has_supply:
        figures |= {"supply_wh": _sum(supply_wh, sites), "export_wh": _sum(interval.export_wh, sites)}
    if has_demand and has_supply:
        figures["matched_wh"] = _sum(interval.matched_wh, sites)
    if has_solar:
        figures["solar_wh"] = _sum(interval.solar_wh, sites)
    return figures


def _as_settled(figures: dict[str, int], total: public.PublicTotal) -> dict[str, int]:
    """The commune's supply and demand are the settlement's own, told by the rule of public totals. What goes beside
    them must not tell what they withhold, nor the other way round."""
    if not {"import_wh", "export_wh"} <= figures.keys():
        both = total.supply_wh is not None and total.demand_wh is not None
        if both:
            figures.pop("import_wh", None)
            figures.pop("export_wh", None)
    for name in ("supply_wh", "demand_wh", "matched_wh", "unallocated_wh"):
        figures.pop(name, None)
        if (settled_wh := getattr(total, name)) is not None:
            figures[name] = settled_wh
    return figures


def _with_ratios(figures: dict[str, int], cell: Cell, sites: int, expected: int) -> dict[str, int]:
    """The figures and what follows from them."""
    told = dict(figures)
    if {"import_wh", "export_wh"} <= told.keys():
        net_w = (told["import_wh"] - told["export_wh"]) * PER_HOUR
        told |= {"load_w": max(0, net_w), "reverse_w": max(0, -net_w)}
        if "solar_wh" in told:
            told["used_wh"] = told["import_wh"] + told["solar_wh"] - told["export_wh"]
            told |= ratios([told])
    elif "demand_wh" in told:
        # Who feeds in is one roof or two, and stays untold: the load is this at most.
        told["load_w"] = told["demand_wh"] * PER_HOUR
    told |= of_rating(told, cell.rating_w)
    completeness = sites * PERMILLE // expected if expected else 0
    return told | {"sites": sites, "sites_expected": expected, "completeness_permille": completeness}


def of_rating(figures: Mapping[str, int], rating_w: int | None) -> dict[str, int]:
    """The rating, and load and feed-in in thousandths of it."""
    if rating_w is None or "load_w" not in figures:
        return {}
    powers_w = {name: figures[f"{name}_w"] for name in ("load", "reverse") if f"{name}_w" in figures}
    return {"rating_w": rating_w, **{f"{name}_permille": w * PERMILLE // rating_w for name, w in powers_w.items()}}


def ratios(intervals: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """How much of what was made stayed here, and how much of what was used was made here; 0 of nothing. What stays in
    a cell: what its homes used of their own, and what its supply covered of its demand in the same interval."""
    solar_wh, used_wh = (sum(row[name] for row in intervals) for name in ("solar_wh", "used_wh"))
    local_wh = sum(
        max(0, row["solar_wh"] - row["export_wh"]) + min(row["supply_wh"], row["demand_wh"]) for row in intervals
    )
    return {
        name: min(PERMILLE, (2 * PERMILLE * local_wh + whole_wh) // (2 * whole_wh)) if whole_wh > 0 else 0
        for name, whole_wh in (("self_consumption_permille", solar_wh), ("self_sufficiency_permille", used_wh))
    }


SUMMED = tuple(name for name in MEASUREMENTS["energy_15m"].fields if name.endswith("_wh"))
_FOR_RATIOS = ("solar_wh", "used_wh", "export_wh", "supply_wh", "demand_wh")


def of_day(intervals: Sequence[Mapping[str, int]], expected: int, rating_w: int | None) -> dict[str, int]:
    """A day from its intervals as they were told: sums to the Wh, the highest powers, the fewest sites. `expected`:
    how many intervals the day has."""
    day = {name: sum(told) for name in SUMMED if (told := [row[name] for row in intervals if name in row])}
    for name in ("load_w", "reverse_w"):
        if told := [row[name] for row in intervals if name in row]:
            day[name] = max(told)
    day |= of_rating(day, rating_w)
    whole = [row for row in intervals if all(name in row for name in _FOR_RATIOS)]
    if whole:
        day |= ratios(whole)
    sites = min(row["sites"] for row in intervals)
    sites_expected = max(row["sites_expected"] for row in intervals)
    known = sum(row["sites"] for row in intervals)
    could = sites_expected * expected
    return day | {
        "sites": sites,
        "sites_expected": sites_expected,
        "completeness_permille": known * PERMILLE // could if could else 0,
        "intervals": len(intervals),
        "intervals_expected": expected,
    }


def _sum(values: Energies, sites: NDArray[np.int64]) -> int:
    return int(values[sites].sum())
