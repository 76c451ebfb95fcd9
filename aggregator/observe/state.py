"""The state that /health and /metrics are made of: values only, taken once a second by the loop."""

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aggregator import schema
from aggregator.clock_watch import ClockWatch
from aggregator.observe.stages import Stages
from aggregator.observe.witnesses import Witnesses
from aggregator.receive.gate import Gate
from aggregator.sql import Database
from ledger.app import LOG
from ledger.log.tiles import CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class Books:
    """What the one that leads knows. Times are civil, but `checkpoint_age_s` (wall).

    `report`: of status.json. `due_s`: since when the next interval could be closed; negative: not yet due.
    `witnesses`: where any are asked to cosign.
    """

    report: Mapping[str, Any]
    due_s: float
    outbox_runs: int
    outbox_age_s: float
    checkpoint_age_s: float
    witnesses: Witnesses | None = None


@dataclass(frozen=True, kw_only=True)
class State:
    """One look at a process. `brokers`: why each is not reached, None where it is. `telemetry`: the same, if there is
    an InfluxDB; `telemetry_behind_s`: civil time between the last closing and the last point written."""

    commune: str
    brokers: Mapping[str, str | None]
    gate: Mapping[str, float]
    turned_away: Mapping[str, int]
    stage_seconds: Mapping[str, float]
    stage_runs: Mapping[str, int]
    doubt: str | None
    clock_leaps: int
    last_leap_s: int
    disk_free_bytes: int | None
    books: Books | None = None
    telemetry: Mapping[str, str | None] = field(default_factory=dict)
    telemetry_behind_s: float = 0.0


def look(
    *,
    commune: str,
    directory: Path,
    brokers: Mapping[str, str | None],
    gate: Gate,
    stages: Stages,
    watch: ClockWatch,
    books: Books | None,
    telemetry: Mapping[str, str | None],
    telemetry_behind_s: float,
) -> State:
    """Take everything that others change meanwhile as it is now."""
    return State(
        commune=commune,
        brokers=dict(brokers),
        gate=gate.depth(),
        turned_away=dict(gate.turned_away),
        stage_seconds=dict(stages.seconds),
        stage_runs=dict(stages.runs),
        doubt=watch.doubt.value if watch.doubt else None,
        clock_leaps=watch.leaps,
        last_leap_s=watch.last_leap_s,
        disk_free_bytes=_free_bytes(directory),
        books=books,
        telemetry=telemetry,
        telemetry_behind_s=telemetry_behind_s,
    )


def books_of(
    database: Database,
    directory: Path,
    report: Mapping[str, Any],
    *,
    held: Collection[bytes],
    witnesses: Witnesses | None,
    due_s: float,
    civil_s: float,
    wall_s: float,
) -> Books:
    """Beside the report: what waits for the ledger (but the runs `held`, which wait for people), and how old the
    published head is."""
    is_waiting = sa.and_(schema.run.c.place.is_(None), schema.run.c.id.not_in(held))
    waiting = sa.select(sa.func.count(), sa.func.min(schema.run.c.time_s)).where(is_waiting)
    with database.transaction() as connection:
        runs, oldest_s = connection.execute(waiting).one()
    try:
        published_s = (directory / LOG / CHECKPOINT).stat().st_mtime
    except OSError:
        published_s = wall_s
    return Books(
        report=report,
        due_s=due_s,
        outbox_runs=runs,
        outbox_age_s=max(0.0, civil_s - oldest_s) if runs else 0.0,
        checkpoint_age_s=max(0.0, wall_s - published_s),
        witnesses=witnesses,
    )


def _free_bytes(directory: Path) -> int | None:
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return None
