"""What leaves for dashboards: commune-level points, read from the durable state (docs/spec/telemetry.md)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.commune.registry import Directory
from aggregator.minting import line_pages, run_pages
from aggregator.privacy import public, rule
from aggregator.privacy.rule import Withheld
from aggregator.sql import count
from commonwatt.page import Integers

ROWS_MAX = 1000
"""Intervals and windows read at once."""

_SOURCES_MAX = 16


@dataclass(frozen=True, slots=True)
class Point:
    """One point: integer fields at a civil second."""

    measurement: str
    time_s: int
    fields: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where points were written: the end of the last interval and of the last window, civil seconds."""

    closed_s: int = 0
    minted_s: int = 0


def since(connection: sa.Connection, cursor: Cursor, directory: Directory) -> tuple[list[Point], Cursor]:
    """The next points after `cursor`, a bounded number, and the cursor behind them. What may not be told (the room
    `privacy`) is passed over and counted by its reason."""
    intervals = public.since(connection, cursor.closed_s, limit=ROWS_MAX)
    windows = connection.execute(_WINDOWS.where(schema.run.c.window_end_s > cursor.minted_s)).all()
    withheld: Counter[str] = Counter()
    points = [point for row in intervals if (point := _energy(row, withheld))]
    points += [point for row in windows if (point := _mint(connection, row, directory, withheld))]
    count(connection, withheld)
    return points, Cursor(
        intervals[-1].end_s if intervals else cursor.closed_s,
        windows[-1].window_end_s if windows else cursor.minted_s,
    )


def pipeline(state: Mapping[str, Any]) -> Point:
    """The counts of status.json as a point."""
    batches, blocks = state["batches"], state["blocks"]
    fields = {
        "batches_received": batches["received"],
        "batches_dropped": sum(batches["dropped"].values()),
        "blocks_received": blocks["received"],
        "blocks_accepted": blocks["accepted"],
        "blocks_duplicate": blocks["duplicate"],
        "blocks_refused": sum(blocks["refused"].values()),
        "intervals_closed": state["intervals"]["closed"],
        **{name: state[name] for name in ("windows_minted", "frozen_devices", "held", "log_size")},
    }
    return Point("pipeline", int(state["civil_s"]), fields)


# Windows are minted in order, so those before one that waits for the ledger are all there. What a hold delayed comes
# as a run of its own after later windows: the ledger tells it, these points do not.
_WINDOWS = (
    sa.select(schema.run).where(schema.run.c.place.is_not(None)).order_by(schema.run.c.window_end_s).limit(ROWS_MAX)
)


def _energy(row: sa.Row[Any], withheld: Counter[str]) -> Point | None:
    """The public totals of an interval, if there are any."""
    total = public.of_row(row)
    for reason in total.withheld:
        _may_be_told(reason, withheld)
    names = ("supply_wh", "demand_wh", "matched_wh", "unallocated_wh")
    told = {name: wh for name in names if (wh := getattr(total, name)) is not None}
    return Point("energy_15m", total.start_s, {**told, "sites": total.sites}) if told else None


def _mint(connection: sa.Connection, run: sa.Row[Any], directory: Directory, withheld: Counter[str]) -> Point | None:
    """A run's totals, if they may be told."""
    energies_wh = _energies_wh(connection, run, directory)
    total_wh, largest_wh = sum(energies_wh.values()), max(energies_wh.values(), default=0)
    others = (_energies_wh(connection, other, directory) for other in connection.execute(_told_before(run)).all())
    reason = rule.check_total(total_wh, largest_wh, sites=len(energies_wh)) or rule.check_earlier(
        frozenset(energies_wh), map(frozenset, others)
    )
    if not _may_be_told(reason, withheld):
        return None
    mints = run_pages.read(connection, run)
    association_mc = int(mints.association_mc.sum())
    fields = {
        "energy_wh": int(mints.energy_wh.sum()),
        "total_mc": int(mints.amount_mc.sum()) + association_mc,
        "association_mc": association_mc,
        "mints": len(mints),
        "sites": len(energies_wh),
    }
    return Point("mint", run.window_end_s, fields)


def _may_be_told(reason: Withheld | None, withheld: Counter[str]) -> bool:
    if reason is not None:
        withheld[f"withheld.{reason.value}"] += 1
    return reason is None


def _told_before(run: sa.Row[Any]) -> sa.Select[Any]:
    """Runs about a part of the same time that came into the log before this one: they may have been told."""
    other = schema.run.c
    overlaps = sa.and_(other.window_start_s < run.window_end_s, other.window_end_s > run.window_start_s)
    return sa.select(schema.run).where(overlaps, other.place < run.place)


def _energies_wh(connection: sa.Connection, run: sa.Row[Any], directory: Directory) -> dict[bytes, int]:
    """What each site's meters stand for in a run."""
    known, mints = numbers.of(connection), run_pages.read(connection, run)
    leaves = _key(known.find(mints.account_ids), mints.sources)
    by_device = np.zeros(len(known), dtype=np.int64)
    for lines in line_pages.read(connection, run.window_start_s):
        is_of_run = np.isin(_key(lines["account"], lines["source"]), leaves)
        np.add.at(by_device, lines["device"][is_of_run], lines["energy_wh"][is_of_run])
    energies_wh: Counter[bytes] = Counter()
    devices = np.flatnonzero(by_device)
    for device, energy_wh in zip(known.names(devices), by_device[devices].tolist(), strict=True):
        energies_wh[directory.meters[device].site] += energy_wh
    return dict(energies_wh)


def _key(accounts: Integers, sources: Integers) -> Integers:
    return accounts * _SOURCES_MAX + sources
