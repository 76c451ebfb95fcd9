"""What every home did on one local day, and what it earned by it: the rows of home-days.db (home_days.py).

All homes are read at once, because their readings lie in the same pages; from the durable state alone, so that the
same day gives the same rows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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
from ledger.book import mint
from ledger.book.kinds import DeviceRole

NOWHERE = -1


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
    """What claims say of homes, one row each: a place in `sites`, the moment at which the span ends, the source as
    the ledger counts them, energy in Wh, and credits after the association's share (0 while nothing is minted)."""

    sites: list[bytes]
    site: Integers
    end_s: Integers
    source: Integers
    energy_wh: Integers
    net_mc: Integers

    def sums(self, day_of: Callable[[int], int], columns: Mapping[int, int], other: int) -> Iterator[tuple[Any, ...]]:
        """By day and home: day, site, matched Wh, amounts. `day_of`: the day of a span that ends then; `columns`:
        where a source's amount goes, from 1 on, else to `other`, the last."""
        if not len(self.site):
            return
        ends_s, at = np.unique(self.end_s, return_inverse=True)
        days = np.array([day_of(end_s) for end_s in ends_s.tolist()])[at]
        keys, place = np.unique(days * len(self.sites) + self.site, return_inverse=True)
        totals = np.zeros((len(keys), other + 1), np.int64)
        np.add.at(totals[:, 0], place, np.where(self.source == mint.SOURCE_MATCHED, self.energy_wh, 0))
        column = np.full(mint.SOURCE_LAST + 1, other)
        column[list(columns)] = list(columns.values())
        np.add.at(totals, (place, column[self.source]), self.net_mc)
        for key, row in zip(keys.tolist(), totals.tolist(), strict=True):
            yield key // len(self.sites), self.sites[key % len(self.sites)], *row


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
    """The lines behind the mints of a window, a page at a time, each with its part of what the account was given."""
    run = schema.run
    runs = connection.execute(sa.select(run).where(run.c.window_start_s == window_start_s)).all()
    known, homes = numbers.of(connection), _Homes(connection, commune)
    net_mc, whole_mc = np.zeros((2, len(known), mint.SOURCE_LAST + 1), np.int64)
    for leaves in (run_pages.read(connection, row) for row in runs):
        at = (known.find(leaves.account_ids), leaves.sources)
        net_mc[at] = leaves.amount_mc
        whole_mc[at] = leaves.amount_mc + leaves.association_mc
    for page in line_pages.read(connection, window_start_s):
        account, source, gross_mc = page["account"], page["source"], page["amount_mc"]
        # Lines of one account and source follow each other: what stands before each in its mint is a difference.
        is_first = np.r_[True, (account[1:] != account[:-1]) | (source[1:] != source[:-1])]
        after = np.cumsum(gross_mc)
        after = after - (after - gross_mc)[np.flatnonzero(is_first)][np.cumsum(is_first) - 1]
        net, whole = net_mc[account, source], whole_mc[account, source]
        parts = after * net // np.maximum(whole, 1) - (after - gross_mc) * net // np.maximum(whole, 1)
        site = homes.of(page["device"], account)
        rows = (site >= 0) & (whole > 0)
        columns = (site, page["end_s"], source, page["energy_wh"], parts)
        yield Shared(homes.sites, *(column[rows] for column in columns))


def claimed(connection: sa.Connection, commune: Commune, after_s: int) -> Iterator[Shared]:
    """What was settled in the closings after a time and is not minted yet."""
    homes = _Homes(connection, commune)
    claims = claim_pages.read(connection, after_s, INT64_MAX)
    site = homes.of(claims.device, None)
    rows = site >= 0
    nothing = np.zeros(int(rows.sum()), np.int64)
    yield Shared(homes.sites, site[rows], claims.end_s[rows], claims.source[rows], claims.energy_wh[rows], nothing)


class _Homes:
    """Places of homes by the numbers of devices and accounts."""

    def __init__(self, connection: sa.Connection, commune: Commune) -> None:
        known = numbers.of(connection)
        self.sites = sorted({row.site for row in commune.devices})
        place = {site: at for at, site in enumerate(self.sites)}
        self._of_device, self._of_account = np.full((2, len(known)), NOWHERE)
        devices, accounts = (
            known.find(numbers.octets(column))
            for column in ([row.device for row in commune.devices], [row.account for row in commune.devices])
        )
        places = np.array([place[row.site] for row in commune.devices], np.int64)
        for table, found in ((self._of_device, devices), (self._of_account, accounts)):
            # The last one stays, and of several homes of an account the first one counts.
            is_known = (found != numbers.NONE)[::-1]
            table[found[::-1][is_known]] = places[::-1][is_known]

    def of(self, devices: Integers, accounts: Integers | None) -> Integers:
        """The home of each device; of what no device measured the account's first, if `accounts` are given."""
        found: Integers = self._of_device[devices]
        return found if accounts is None else np.where(found >= 0, found, self._of_account[accounts])


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
