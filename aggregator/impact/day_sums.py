"""What every home did on one local day, and what it earned by it: the rows of home-days.db (home_days.py).

All homes are read at once, because their readings lie in the same pages; from the durable state alone, so that the
same day gives the same rows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.impact.balance import of_site
from aggregator.impact.measured import Commune
from aggregator.impact.periods import Period
from aggregator.minting import line_pages, run_pages
from aggregator.privacy import rule
from aggregator.settling import claim_pages, history
from commonwatt.page import Integers
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INT64_MAX, INTERVAL_S
from ledger.book.kinds import DeviceRole


class Energies(NamedTuple):
    """A site's day in Wh, over its known intervals. `quarters`: how many intervals the day has; `known`: of how many
    everything was measured. `local_wh`: made and used in the same home; `given_wh`: of what was fed in, the part that
    neighbours used in the same quarter of an hour, by the share of all supply that was matched then."""

    site: bytes
    quarters: int
    known: int
    import_wh: int
    export_wh: int
    production_wh: int
    local_wh: int
    used_wh: int
    given_wh: int


class PlugDay(NamedTuple):
    """What went through a sub-meter on a day."""

    device: bytes
    known: int
    used_wh: int


@dataclass(frozen=True, slots=True)
class Shared:
    """What a claim says of a home: energy in Wh and credits, by the moment at which its span ends. `source`: as the
    ledger counts them; `net_mc`: after the association's share, 0 while it is not minted."""

    site: bytes
    end_s: int
    source: int
    energy_wh: int
    net_mc: int


def energies(connection: sa.Connection, commune: Commune, day: Period) -> Iterator[Energies]:
    """A row for each site with a main meter of which anything is known."""
    mains, generators = (_by_site(commune, role) for role in (DeviceRole.MAIN, DeviceRole.PRODUCTION))
    devices = [device for group in (mains, generators) for found in group.values() for device in found]
    place = {device: at for at, device in enumerate(devices)}
    span = (day.start_s, day.end_s)
    drawn, fed = history.growths(connection, devices, (IMPORT.number, EXPORT.number), span)
    alike: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for site, meters in mains.items():
        alike[len(meters), len(generators.get(site, ()))].append(site)
    share = given_share(connection, day)
    for (_mains, makers), sites in alike.items():
        at_main = np.array([[place[device] for device in mains[site]] for site in sites]).T
        made = None
        if makers:
            made = fed[np.array([[place[device] for device in generators[site]] for site in sites]).T]
        found = of_site(day.starts_s, (drawn[at_main], fed[at_main]), made, history.UNKNOWN)
        given_wh = given(found.export_wh, share)
        mine = (found.import_wh, found.export_wh, found.production_wh, found.local_wh, found.consumption_wh)
        columns = (found.known, *mine, given_wh)
        sums = zip(*(column.sum(axis=-1).tolist() for column in columns), strict=True)
        for site, (known, *energies_wh) in zip(sites, sums, strict=True):
            if known:
                yield Energies(site, len(day.starts_s), known, *energies_wh)


def plugs(connection: sa.Connection, commune: Commune, day: Period) -> Iterator[PlugDay]:
    """A row for each sub-meter of which anything is known."""
    devices = [row.device for row in commune.devices if row.role is DeviceRole.SUB_METER]
    if not devices:
        return
    (grown,) = history.growths(connection, devices, (IMPORT.number,), (day.start_s, day.end_s))
    is_known = grown >= 0
    for device, known, used_wh in zip(
        devices, is_known.sum(axis=1).tolist(), np.where(is_known, grown, 0).sum(axis=1).tolist(), strict=True
    ):
        if known:
            yield PlugDay(device, known, used_wh)


def minted(connection: sa.Connection, commune: Commune, window_start_s: int) -> Iterator[Shared]:
    """The lines behind the mints of a window, each with its part of what the account was given."""
    run = schema.run
    runs = connection.execute(sa.select(run).where(run.c.window_start_s == window_start_s)).all()
    nets: dict[tuple[bytes, int], tuple[int, int]] = {}
    for leaves in (run_pages.read(connection, row) for row in runs):
        accounts = numbers.names_of(leaves.account_ids)
        rows = zip(
            accounts, leaves.sources.tolist(), leaves.amount_mc.tolist(), leaves.association_mc.tolist(), strict=True
        )
        nets |= {(account, source): (net, net + share) for account, source, net, share in rows}
    yield from _lines(connection, commune, window_start_s, nets)


def _lines(
    connection: sa.Connection, commune: Commune, window_start_s: int, nets: dict[tuple[bytes, int], tuple[int, int]]
) -> Iterator[Shared]:
    site_of, home_of = _sites(commune)
    known = numbers.of(connection)
    so_far: Counter[tuple[bytes, int]] = Counter()
    for page in line_pages.read(connection, window_start_s):
        accounts, devices = known.names(page["account"]), known.names(page["device"])
        columns = (page[name].tolist() for name in ("source", "end_s", "energy_wh", "amount_mc"))
        for account, device, source, end_s, energy_wh, gross_mc in zip(accounts, devices, *columns, strict=True):
            site = site_of.get(device) or home_of.get(account)
            net_mc, whole_mc = nets.get((account, source), (0, 0))
            before = so_far[account, source]
            so_far[account, source] = after = before + gross_mc
            if site is not None and whole_mc > 0:
                part_mc = after * net_mc // whole_mc - before * net_mc // whole_mc
                yield Shared(site, end_s, source, energy_wh, part_mc)


def claimed(connection: sa.Connection, commune: Commune, after_s: int) -> Iterator[Shared]:
    """What was settled in the closings after a time and is not minted yet."""
    site_of, _home_of = _sites(commune)
    claims = claim_pages.read(connection, after_s, INT64_MAX)
    devices = numbers.of(connection).names(claims.device)
    columns = (claims.end_s.tolist(), claims.source.tolist(), claims.energy_wh.tolist())
    for device, end_s, source, energy_wh in zip(devices, *columns, strict=True):
        if device in site_of:
            yield Shared(site_of[device], end_s, source, energy_wh, 0)


def given(export_wh: Integers, share: tuple[Integers, Integers]) -> Integers:
    """What neighbours used of what was fed in, by interval (the last axis); rounded down."""
    matched_wh, supply_wh = share
    part: Integers = np.where(supply_wh > 0, export_wh * matched_wh // np.maximum(supply_wh, 1), 0)
    return part


def given_share(connection: sa.Connection, day: Period) -> tuple[Integers, Integers]:
    """Of each interval of a day what was matched and what was supplied, Wh; nothing where fewer than SITES_MIN sites
    stood behind it: one home's share would be another's use."""
    closing, pool = schema.closing.c, schema.pool.c
    query = sa.select(closing.end_s, closing.matched_wh, closing.supply_wh).where(
        closing.end_s > day.start_s,
        closing.end_s <= day.end_s,
        closing.end_s == pool.end_s,
        pool.sites >= rule.SITES_MIN,
    )
    matched_wh, supply_wh = np.zeros((2, len(day.starts_s)), np.int64)
    for end_s, matched, supply in connection.execute(query):
        at = (end_s - day.start_s) // INTERVAL_S - 1
        matched_wh[at], supply_wh[at] = matched, supply
    return matched_wh, supply_wh


def _by_site(commune: Commune, role: DeviceRole) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for row in commune.devices:
        if row.role is role:
            found[row.site].append(row.device)
    return found


def _sites(commune: Commune) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """The site of each device, and the first site of each account: what no device measured counts there."""
    home_of: dict[bytes, bytes] = {}
    for row in commune.devices:
        home_of.setdefault(row.account, row.site)
    return {row.device: row.site for row in commune.devices}, home_of
