"""Reads the faulty series that lie beside this file, and counts what the detectors find in them."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from aggregator.plausibility import series

HERE = Path(__file__).parent
INVERTER_WH_MAX = 2500


class Labelled(NamedTuple):
    """Wh by quarter hour (None: unknown), and at which of them the source says that there is a fault."""

    steps: tuple[int | None, ...]
    faults: frozenset[int]


class Found(NamedTuple):
    """`precision`: the part of what was found that is a fault. `recall`: the part of the faults that was found."""

    precision: float
    recall: float


def stale() -> Labelled:
    """A month of an inverter with three stretches that stand still."""
    return _labelled("pvanalytics/stale.csv", "is_fault")


def outliers() -> Labelled:
    """Ten days of an inverter with six impossible values."""
    return _labelled("pvanalytics/outliers.csv", "is_fault")


def frozen_logger() -> Labelled:
    """A home's day on which the logger stood still."""
    return _labelled("uci/frozen.csv", "filled_minutes")


def refilled_outage() -> Labelled:
    """A home's five days with an outage that was filled in with the days before."""
    return _labelled("uci/outage.csv", "filled_minutes")


def found() -> Found:
    """Both kinds of labelled fault together."""
    hits = reported = labelled = 0
    for record, ranges in ((stale(), series.stuck), (outliers(), _out_of_bounds)):
        steps = {at for run in ranges(record.steps) for at in run}
        hits += len(steps & record.faults)
        reported += len(steps)
        labelled += len(record.faults)
    return Found(hits / reported, hits / labelled)


def _out_of_bounds(steps: series.Steps) -> Iterable[range]:
    return series.out_of_bounds(steps, INVERTER_WH_MAX)


def _labelled(name: str, label: str) -> Labelled:
    with (HERE / name).open() as file:
        rows = list(csv.DictReader(file))
    steps = tuple(int(row["wh"]) if row["wh"] else None for row in rows)
    return Labelled(steps, frozenset(at for at, row in enumerate(rows) if int(row[label])))
