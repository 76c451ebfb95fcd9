"""What leaves for dashboards: commune-level points, read from the durable state (docs/spec/telemetry.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aggregator import schema
from aggregator.commune.registry import Directory
from commonwatt.units import INTERVAL_S
from ledger.book import mint

SITES_MIN = 10
"""Below this a total would tell too much about one household, and no point is written."""

ROWS_MAX = 1000
"""Intervals and windows read at once."""


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
    """The next points after `cursor`, a bounded number, and the cursor behind them. Withheld ones are passed over."""
    intervals = connection.execute(_INTERVALS.where(schema.closing.c.end_s > cursor.closed_s)).all()
    windows = connection.execute(_WINDOWS.where(schema.run.c.window_end_s > cursor.minted_s)).all()
    points = [_energy(row) for row in intervals if row.sites >= SITES_MIN]
    for row in windows:
        sites = _sites_behind(connection, row.window_start_s, directory)
        if sites >= SITES_MIN:
            points.append(_mint(connection, row, sites))
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


_INTERVALS = (
    sa.select(schema.closing, schema.pool.c.sites)
    .join(schema.pool, schema.pool.c.end_s == schema.closing.c.end_s)
    .order_by(schema.closing.c.end_s)
    .limit(ROWS_MAX)
)
# Windows are minted in order, so those before one that waits for the ledger are all there.
_WINDOWS = (
    sa.select(schema.run).where(schema.run.c.place.is_not(None)).order_by(schema.run.c.window_end_s).limit(ROWS_MAX)
)


def _energy(row: sa.Row[Any]) -> Point:
    names = ("supply_wh", "demand_wh", "matched_wh", "unallocated_wh", "sites")
    return Point("energy_15m", row.end_s - INTERVAL_S, {name: getattr(row, name) for name in names})


def _sites_behind(connection: sa.Connection, window_start_s: int, directory: Directory) -> int:
    line = schema.mint_line.c
    devices = connection.execute(sa.select(line.device).where(line.window_start_s == window_start_s).distinct())
    return len({directory.meters[device].site for device in devices.scalars()})


def _mint(connection: sa.Connection, run: sa.Row[Any], sites: int) -> Point:
    leaves = connection.execute(sa.select(schema.run_mint.c.leaf).where(schema.run_mint.c.run_id == run.id)).scalars()
    mints = [mint.parse(leaf) for leaf in leaves]
    fields = {
        "energy_wh": sum(leaf.energy_wh for leaf in mints),
        "total_mc": sum(leaf.amount_mc + leaf.association_mc for leaf in mints),
        "association_mc": sum(leaf.association_mc for leaf in mints),
        "mints": len(mints),
        "sites": sites,
    }
    return Point("mint", run.window_end_s, fields)
