"""What a window minted, by source and version of the policy, as far as it may be told; read from the durable state.

A window of more leaves than a mint-run holds is several runs: one point, when the last of them is in the log. What a
hold delays is a run of its own that waits while later windows are minted: the ledger tells it, these points do not.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.minting import line_pages, run_pages
from aggregator.privacy import rule
from aggregator.telemetry.point import Point
from commonwatt.page import Integers
from ledger.book import mint

SOURCES = {
    mint.SOURCE_PRODUCTION: "production",
    mint.SOURCE_MATCHED: "matched",
    mint.SOURCE_SAVINGS: "savings",
    mint.SOURCE_SHIFTING: "shifting",
    mint.SOURCE_HEAT: "heat",
    mint.SOURCE_DECLARED: "declared",
}
"""Values of `source`."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window of which every run is in the log that will be there before later windows."""

    start_s: int
    end_s: int
    policy_sha256: bytes
    place: int


def windows(connection: sa.Connection, end_s: int, limit: int) -> list[Window]:
    """Those that end after `end_s`, in order, up to the first that waits for the ledger. Windows are minted in order:
    what still waits of one before the newest is held."""
    run = schema.run.c
    newest_s = connection.scalar(sa.select(sa.func.max(run.window_end_s)).where(run.place.is_not(None))) or 0
    query = (
        sa.select(
            run.window_start_s,
            run.window_end_s,
            run.policy_sha256,
            sa.func.max(run.place).label("place"),
            (sa.func.count() - sa.func.count(run.place)).label("waiting"),
        )
        .where(run.window_end_s > end_s)
        .group_by(run.window_start_s, run.window_end_s, run.policy_sha256)
        .order_by(run.window_end_s)
        .limit(limit)
    )
    found = []
    for row in connection.execute(query):
        if row.waiting and row.window_end_s >= newest_s:
            break
        if row.place is None:
            continue
        found.append(Window(row.window_start_s, row.window_end_s, row.policy_sha256, row.place))
    return found


def points(
    connection: sa.Connection,
    window: Window,
    sites: Mapping[bytes, bytes],
    policies: Mapping[bytes, int],
    withheld: Counter[str],
) -> Iterator[Point]:
    """One for each source that may be told. `sites`: of devices; `policies`: versions by hash. Energy that no meter
    stands behind (declared values) has the accounts instead of sites."""
    minted = _by_source(connection, window)
    earlier = [_energies_wh(connection, other, sites) for other in _told_before(connection, window)]
    for source, energies_wh in sorted(_energies_wh(connection, window, sites).items()):
        others = [frozenset(found[source]) for found in earlier if source in found]
        reason = rule.check_parts(energies_wh.values()) or rule.check_earlier(frozenset(energies_wh), others)
        if reason is not None:
            withheld[f"withheld.{reason.value}"] += 1
            continue
        tags = {"source": SOURCES[source], "policy": str(policies.get(window.policy_sha256, 0))}
        yield Point("mint", window.end_s, {**minted[source], "sites": len(energies_wh)}, tags)


def _by_source(connection: sa.Connection, window: Window) -> dict[int, dict[str, int]]:
    """The sums of all leaves of the window's runs."""
    found: dict[int, Counter[str]] = {}
    for run in connection.execute(_RUNS, _key(window)).all():
        leaves = run_pages.read(connection, run)
        for source in np.unique(leaves.sources).tolist():
            is_it = leaves.sources == source
            sums = found.setdefault(source, Counter())
            amount_mc, association_mc = int(leaves.amount_mc[is_it].sum()), int(leaves.association_mc[is_it].sum())
            sums["energy_wh"] += int(leaves.energy_wh[is_it].sum())
            sums["amount_mc"] += amount_mc
            sums["association_mc"] += association_mc
            sums["total_mc"] += amount_mc + association_mc
            sums["mints"] += int(is_it.sum())
    return {source: dict(sums) for source, sums in found.items()}


def energy_wh(connection: sa.Connection, window: Window) -> int:
    """What the whole window minted credits for: what stands behind them."""
    return sum(sums["energy_wh"] for sums in _by_source(connection, window).values())


def _energies_wh(
    connection: sa.Connection, window: Window, sites: Mapping[bytes, bytes]
) -> dict[int, dict[bytes, int]]:
    """What each site's meters stand for, by source."""
    known = numbers.of(connection)
    by_source: dict[int, Integers] = {}
    leaves = [run_pages.read(connection, run) for run in connection.execute(_RUNS, _key(window)).all()]
    keys = [_pair(known.find(part.account_ids), part.sources) for part in leaves]
    is_of = np.unique(np.concatenate(keys)) if keys else np.empty(0, dtype=np.int64)
    for lines in line_pages.read(connection, window.start_s):
        is_it = np.isin(_pair(lines["account"], lines["source"]), is_of)
        for source in np.unique(lines["source"][is_it]).tolist():
            sums = by_source.setdefault(source, np.zeros(len(known), dtype=np.int64))
            here = is_it & (lines["source"] == source)
            np.add.at(sums, lines["device"][here], lines["energy_wh"][here])
    found: dict[int, dict[bytes, int]] = {}
    for source, sums in by_source.items():
        behind: Counter[bytes] = Counter()
        devices = np.flatnonzero(sums)
        for name, wh in zip(known.names(devices), sums[devices].tolist(), strict=True):
            behind[sites.get(name, name)] += wh
        found[source] = dict(behind)
    return found


def _told_before(connection: sa.Connection, window: Window) -> list[Window]:
    """Windows of other lengths about a part of the same time, in the log before this one: they may have been told."""
    run = schema.run.c
    query = (
        sa.select(run.window_start_s, run.window_end_s, run.policy_sha256, sa.func.max(run.place).label("place"))
        .where(
            run.window_start_s < window.end_s,
            run.window_end_s > window.start_s,
            run.place < window.place,
            sa.or_(run.window_start_s != window.start_s, run.window_end_s != window.end_s),
        )
        .group_by(run.window_start_s, run.window_end_s, run.policy_sha256)
    )
    return [Window(*row) for row in connection.execute(query)]


_RUNS = sa.select(schema.run).where(
    schema.run.c.window_start_s == sa.bindparam("start_s"),
    schema.run.c.window_end_s == sa.bindparam("end_s"),
    schema.run.c.policy_sha256 == sa.bindparam("policy_sha256"),
    schema.run.c.place.is_not(None),
)


def _key(window: Window) -> dict[str, object]:
    return {"start_s": window.start_s, "end_s": window.end_s, "policy_sha256": window.policy_sha256}


def _pair(accounts: Integers, sources: Integers) -> Integers:
    return accounts * (mint.SOURCE_LAST + 1) + sources
