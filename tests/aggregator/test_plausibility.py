"""What is hard to believe in a meter's series, and what is not: real faults, and real days without any."""

import csv
from itertools import pairwise

import pytest

from aggregator.plausibility import series, site
from bench.plausibility import faults
from commonwatt.demo.registers.read import REGISTERS_CSV


def steps_of(ranges: list[range]) -> set[int]:
    return {at for run in ranges for at in run}


def test_stuck_when_an_inverter_stands_still():
    """Every labelled quarter hour is found and no other: nights, noons and clouds are none."""
    record = faults.stale()
    assert steps_of(series.stuck(record.steps)) == record.faults


def test_stuck_when_a_logger_stands_still():
    """Nearly seven hours of one value, found as one range."""
    (run,) = series.stuck(faults.frozen_logger().steps)
    assert len(run) * 15 >= 390


def test_copied_when_an_outage_was_filled_in():
    """The filled stretch is a replay of the days before; the days around it are not."""
    record = faults.refilled_outage()
    (run,) = series.copied(record.steps)
    assert set(run) <= record.faults
    assert len(run) >= 0.95 * len(record.faults)


def test_out_of_bounds_when_an_inverter_lies():
    """Below nothing and above its power; a value that only fell for a moment may be a cloud."""
    record = faults.outliers()
    found = steps_of(series.out_of_bounds(record.steps, faults.INVERTER_WH_MAX))
    assert found <= record.faults
    assert len(found) == len(record.faults) - 1


def test_faults_when_counted():
    """The figures of `commonwatt bench aggregator plausibility_*`."""
    found = faults.found()
    assert found.precision == 1.0
    assert found.recall > 0.99


def real_weeks() -> dict[str, list[int]]:
    """The demo's registers as steps, by device and quantity: a week each of homes, roofs and plugs."""
    values: dict[str, list[int]] = {}
    with REGISTERS_CSV.open() as file:
        for row in csv.DictReader(file):
            values.setdefault(f"{row['device']} {row['quantity']}", []).append(int(row["register_wh"]))
    return {name: [after - before for before, after in pairwise(column)] for name, column in values.items()}


@pytest.mark.parametrize("name", real_weeks())
def test_real_weeks_when_nothing_is_wrong(name: str):
    """No suspicion against a meter that did nothing odd."""
    steps = real_weeks()[name]
    assert series.stuck(steps) == []
    assert series.copied(steps) == []
    assert series.out_of_bounds(steps, max(steps)) == []


@pytest.mark.parametrize(
    ("steps", "is_stuck"),
    [([90] * 8, True), ([90] * 7, False), ([3] * 96, False), ([0] * 96, False), ([90, None] * 8, False)],
)
def test_stuck_at_its_limits(steps: list[int | None], is_stuck: bool):
    """Two hours of a value worth mentioning; a standby load and a dark night look the same all the time."""
    assert bool(series.stuck(steps)) is is_stuck


def test_copied_when_a_day_has_hardly_any_values():
    """An empty house is alike every day."""
    assert series.copied([7, 8] * series.STEPS_PER_DAY) == []


def test_copied_when_days_come_from_a_week_ago():
    """Whatever day it is taken from, it is one range."""
    week = [(at * 7919) % 997 for at in range(7 * series.STEPS_PER_DAY)]
    assert series.copied(week + week[:200]) == [range(len(week), len(week) + 200)]


@pytest.mark.parametrize(
    ("plugs_wh", "import_wh", "produced_wh", "exported_wh", "exceeds"),
    [
        ((400, 500), 1000, 0, 0, False),
        ((600, 500), 1000, 0, 0, True),
        ((515, 535), 1000, 0, 0, False),
        ((515, 540), 1000, 0, 0, True),
        ((600, 500), 200, 1200, 300, False),
        ((20,), 0, 1000, 1000, True),
        ((16,), 0, 1000, 1000, False),
    ],
)
def test_plugs_against_the_main_meter(plugs_wh, import_wh, produced_wh, exported_wh, exceeds):
    """A home cannot have plugs that use more than it does, but for what meters disagree by."""
    assert site.plugs_exceed_main(plugs_wh, import_wh, produced_wh, exported_wh) is exceeds


@pytest.mark.parametrize(
    ("exported_wh", "produced_wh", "exceeds"),
    [(1000, 1000, False), (1050, 1000, False), (1051, 1000, True), (16, 0, True)],
)
def test_export_against_production(exported_wh: int, produced_wh: int, exceeds: bool):
    """What is fed in was made, or came from a battery that nobody told of."""
    assert site.exports_exceed_production(exported_wh, produced_wh) is exceeds
