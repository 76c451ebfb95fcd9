"""What is sampled about once a minute: how everything stands now. Values in, points out, but for a few look-ups."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from aggregator import schema
from aggregator.commune.registry import Directory
from aggregator.observe import witnesses as observed_witnesses
from aggregator.policy.terms import Band
from aggregator.privacy.rule import Withheld
from aggregator.statements.values import Stated
from aggregator.telemetry import gateways, writer
from aggregator.telemetry.gateways import Said
from aggregator.telemetry.measurements import FACETS
from aggregator.telemetry.money import Money
from aggregator.telemetry.point import Point
from commonwatt.evidence_page import Integers, Octets
from commonwatt.refusal import Hold, Refusal
from commonwatt.registry import Status
from ledger.app import LOG
from ledger.book.units import Unit
from ledger.log.tiles import CHECKPOINT

HOUR_S, DAY_S = 3600, 86_400
SEEN_S = {"hour": HOUR_S, "six-hours": 6 * HOUR_S, "day": DAY_S, "week": 7 * DAY_S}
VELOCITY_DAYS = 30
PERMILLE = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """One look of the loop: what it alone knows, as values that change no more. `report`: of status.json; `money` by
    unit, `band`: what the policy in force wants of it; `policies`: versions by hash; `stated`: signed statements in
    the log; `devices`, `latest_s`: of every chain the time of its latest reading; `wall_s`: the machine's clock."""

    civil_s: int
    wall_s: float
    directory: Directory
    report: Mapping[str, Any]
    money: Mapping[Unit, Money] = field(default_factory=dict)
    band: Band = field(default_factory=Band)
    policies: Mapping[bytes, int] = field(default_factory=dict)
    stated: tuple[Stated, ...] = ()
    gateways: Mapping[bytes, Said] = field(default_factory=dict)
    devices: Octets | None = None
    latest_s: Integers | None = None
    disk_free_bytes: int | None = None


def pipeline(seen: Seen, signatures_per_min: int | None) -> Point:
    """The counts of status.json as a point."""
    report = seen.report
    batches, blocks = report["batches"], report["blocks"]
    fields = {
        "batches_received": batches["received"],
        "batches_dropped": sum(batches["dropped"].values()),
        "blocks_received": blocks["received"],
        "blocks_accepted": blocks["accepted"],
        "blocks_duplicate": blocks["duplicate"],
        "blocks_refused": sum(blocks["refused"].values()),
        "readings": report["readings"],
        "intervals_closed": report["intervals"]["closed"],
        **{name: report[name] for name in ("windows_minted", "frozen_devices", "held", "log_size")},
    }
    if signatures_per_min is not None:
        fields["signatures_per_min"] = signatures_per_min
    if seen.disk_free_bytes is not None:
        fields["disk_free_bytes"] = seen.disk_free_bytes
    return Point("pipeline", seen.civil_s, fields)


def signatures(report: Mapping[str, Any]) -> int:
    """How many were verified since the commune began: of every block, and of every batch around them."""
    return int(report["batches"]["received"]) + int(report["blocks"]["received"])


def refused(seen: Seen) -> Iterator[Point]:
    """Blocks refused for good, every reason."""
    counts = seen.report["blocks"]["refused"]
    for reason in Refusal:
        fields = {"blocks": counts.get(reason.label, 0)}
        yield Point("refused", seen.civil_s, fields, {"reason": reason.label})


def held(connection: sa.Connection, civil_s: int) -> Iterator[Point]:
    """Spans that wait for a steward, every reason."""
    table = schema.held.c
    query = sa.select(table.reason, sa.func.count(), sa.func.sum(table.energy_wh)).group_by(table.reason)
    found = {row[0]: row[1:] for row in connection.execute(query.where(table.review_place.is_(None)))}
    for reason in Hold:
        spans, energy_wh = found.get(int(reason), (0, 0))
        yield Point("held", civil_s, {"spans": spans, "energy_wh": int(energy_wh)}, {"reason": reason.label})


def counts_under(marks: Mapping[str, int], prefix: str) -> dict[str, int]:
    """The counters whose names begin so, by what follows."""
    return {name.removeprefix(prefix): value for name, value in marks.items() if name.startswith(prefix)}


def withheld(marks: Mapping[str, int], civil_s: int) -> Iterator[Point]:
    """Figures that were not told, every reason."""
    for reason in Withheld:
        fields = {"figures": marks.get(f"withheld.{reason.value}", 0)}
        yield Point("withheld", civil_s, fields, {"reason": reason.value})


def telemetry(marks: Mapping[str, int], *, waiting: int, behind_s: int, is_up: bool, civil_s: int) -> Point:
    """About this very writing."""
    fields = {
        "points_written": marks.get(writer.WRITTEN, 0),
        "points_waiting": waiting,
        "points_aside": marks.get(writer.ASIDE, 0),
        "points_skipped": marks.get("skipped", 0),
        "requests_retried": marks.get(writer.RETRIED, 0),
        "behind_s": behind_s,
        "up": int(is_up),
    }
    return Point("telemetry", civil_s, fields)


def set_aside(by_reason: Mapping[str, int], civil_s: int) -> Iterator[Point]:
    """What lies aside now, every reason."""
    for reason in (writer.MALFORMED, writer.TOO_LARGE):
        yield Point("telemetry_aside", civil_s, {"points": by_reason.get(reason, 0)}, {"reason": reason})


def day_mark(unit: Unit, day: int) -> str:
    """The journal's mark that holds the turnover of a unit at the beginning of a civil day (UTC, since 1970)."""
    return f"turnover.{unit.name.lower()}.{day:06d}"


def money(seen: Seen, marks: Mapping[str, int]) -> Iterator[Point]:
    """Every unit. `marks`: the turnover of earlier days, and the energy that credits were minted for."""
    today = seen.civil_s // DAY_S
    for unit, found in seen.money.items():
        days = (day_mark(unit, day) for day in range(today - VELOCITY_DAYS, today + 1))
        before_mc = next((marks[name] for name in days if name in marks), found.turnover_mc)
        moved_mc, outstanding_mc = found.turnover_mc - before_mc, found.outstanding_mc
        fields = {
            "outstanding_mc": outstanding_mc,
            "turnover_mc": found.turnover_mc,
            "turnover_30d_mc": moved_mc,
            "velocity_permille": moved_mc * PERMILLE // outstanding_mc if outstanding_mc else 0,
        }
        if unit is Unit.ENERGY:
            fields["velocity_permille_min"] = seen.band.velocity_permille_min
        covered_mc = marks.get("minted_wh") if unit is Unit.ENERGY else found.reserve_mc
        if covered_mc is not None:
            fields["covered_mc"] = covered_mc
            fields["coverage_permille_min"] = seen.band.coverage_permille_min
            fields["coverage_permille"] = covered_mc * PERMILLE // outstanding_mc if outstanding_mc else PERMILLE
        yield Point("money", seen.civil_s, fields, {"unit": unit.name.lower()})


def ledger(connection: sa.Connection, directory: Path, seen: Seen) -> Point:
    """The log and its published head."""
    fields = {
        "log_size": seen.report["log_size"],
        "checkpoint_size": seen.report["checkpoint_size"],
        "outbox_runs": connection.scalar(
            sa.select(sa.func.count()).select_from(schema.run).where(schema.run.c.place.is_(None))
        )
        or 0,
    }
    try:
        published_s = (directory / LOG / CHECKPOINT).stat().st_mtime
        fields["checkpoint_age_s"] = max(0, int(seen.wall_s - published_s))
    except OSError:
        pass
    return Point("ledger", seen.civil_s, fields)


def witnesses(directory: Path, seen: Seen) -> Iterator[Point]:
    """How far each witness of DIR/witnesses.policy follows; none without one."""
    found = observed_witnesses.look(directory, wall_s=seen.wall_s)
    if found is None:
        return
    for name in found.names:
        entries = found.entries.get(name, 0)
        fields = {"cosigned_size": entries, "behind_entries": max(0, seen.report["checkpoint_size"] - entries)}
        if (age_s := found.ages_s.get(name)) is not None:
            fields["cosigned_age_s"] = int(age_s)
        yield Point("witness", seen.civil_s, fields, {"witness": name})


def fleet(seen: Seen) -> Iterator[Point]:
    """How many devices are in which class, every class; never which."""
    found = gateways.fleet(seen.gateways)
    active = {row.device for row in seen.directory.keys.records() if row.status is Status.ACTIVE}
    heard_of = sum(found["state"].values())
    found["state"]["never"] = max(0, len(active) - heard_of)
    found["seen"] = last_seen(seen, active)
    for facet in FACETS:
        for name, devices in found[facet].items():
            yield Point("fleet", seen.civil_s, {"devices": devices}, {"facet": facet, "class": name})


def last_seen(seen: Seen, active: set[bytes]) -> dict[str, int]:
    """Active devices by how long ago their latest reading was taken."""
    counts = dict.fromkeys(FACETS["seen"], 0)
    if seen.devices is None or seen.latest_s is None:
        return {**counts, "never": len(active)}
    known = min(len(seen.devices), len(seen.latest_s))
    is_active = np.array([bytes(row) in active for row in seen.devices[:known]], dtype=bool)
    ages_s = seen.civil_s - seen.latest_s[:known][is_active]
    has_any = seen.latest_s[:known][is_active] > 0
    bounds_s = list(SEEN_S.values())
    classes = np.searchsorted(bounds_s, ages_s[has_any], side="right")
    for name, count in zip((*SEEN_S, "older"), np.bincount(classes, minlength=5).tolist(), strict=True):
        counts[name] = count
    counts["never"] = len(active) - int(has_any.sum())
    return counts
