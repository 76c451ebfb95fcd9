"""What is hard to believe in a meter's series, and what is not: real faults, and real days without any."""

import csv
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.plausibility import series, site, twins
from bench.plausibility import faults, yardstick
from bench.plausibility.faults import HERE
from commonwatt.demo.registers.read import REGISTERS_CSV
from commonwatt.page import UNKNOWN


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


def fed_too_much(rows, storage_wh):
    """Intervals of (import, export, production) in which a site fed in more than it had; None: not known."""
    known = np.array([row is not None for row in rows])
    values = np.array([row or (0, 0, 0) for row in rows])
    found = site.feeds_more_than_it_has(values[:, 0], values[:, 1], values[:, 2], known, storage_wh)
    return np.flatnonzero(found).tolist()


@pytest.mark.parametrize(
    ("exported_wh", "produced_wh", "exceeds"),
    [(1000, 1000, False), (1050, 1000, False), (1051, 1000, True), (16, 0, True), (15, 0, False)],
)
def test_export_against_production(exported_wh: int, produced_wh: int, exceeds: bool):
    """What is fed in was made; what is drawn in the same quarter hour explains nothing."""
    assert fed_too_much([(500, exported_wh, produced_wh)], 0) == ([0] if exceeds else [])


def test_export_against_storage():
    """A battery gives back once what it holds, more after it was charged, and is full again after what nobody saw."""
    gives, charges = (0, 1015, 0), (900, 0, 0)
    assert fed_too_much([gives, gives, gives], 2000) == [2]
    assert fed_too_much([gives, gives, charges, charges, gives], 2000) == []
    assert fed_too_much([gives, gives, None, gives, gives, gives], 2000) == [5]
    assert fed_too_much([(0, 10_000, 0), charges, charges, charges, gives], 2000) == [0]


def test_export_of_a_real_home():
    """Konstanz, hour by hour, where clocks of three meters wander (figures of docs/plausibility.md)."""
    with (HERE / "konstanz.csv").open() as file:
        rows = [tuple(int(row[name]) for name in ("import_wh", "export_wh", "pv_wh")) for row in csv.DictReader(file)]
    assert sum(fed > made for _drawn, fed, made in rows) == 4
    assert fed_too_much(rows, 0) == []


@pytest.mark.parametrize(("contracted_va", "most_wh"), [(6000, 2101), (9000, 3151), (1, 2)])
def test_import_against_the_contract(contracted_va, most_wh):
    """40 % beyond the contract is more than a Linky ever lets through for a quarter of an hour."""
    assert site.import_wh_max(contracted_va, 1) == most_wh


def test_import_that_a_linky_lets_through():
    """The filter of the meter, second by second: no load that it does not cut is above the contract for us."""
    rng, contract = random.Random(1), 6000.0
    for _ in range(40):
        filtered, energy_ws, load = 0.0, 0.0, 0.0
        for second in range(900):
            if second % rng.choice([1, 10, 60, 300]) == 0:
                load = rng.choice([0, contract, 1.3 * contract, 3 * contract, 9 * contract])
            while 0.008 * load**2 + 0.992 * filtered > (1.3 * contract) ** 2:
                load *= 0.99  # what it would have cut
            filtered = 0.008 * load**2 + 0.992 * filtered
            energy_ws += load
        assert energy_ws / 3600 < site.import_wh_max(int(contract), 1)


def test_twins_of_different_homes():
    """A stretch of 24 alike to the watt-hour; not of one home, not with a hole, not with another value."""
    stretch = np.repeat(np.random.default_rng(4).integers(20, 900, (24, 1)), 5, axis=1)
    stretch[4, 2] += 1
    stretch[5, 3] = UNKNOWN
    assert twins.twins(stretch, [0, 1, 2, 3, 0]).tolist() == [True, True, False, False, True]
    assert not twins.twins(stretch[:, [0, 4]], [0, 0]).any()
    assert not twins.twins(stretch[:, :0], []).any()


@given(st.integers(0, 2**32), st.integers(2, 30))
def test_fingerprints_never_miss_a_twin(seed, count):
    """Whatever is alike has one number, however many devices there are; numbers only sort out."""
    rng = np.random.default_rng(seed)
    stretch = rng.integers(0, 40, (24, count))
    stretch[:, rng.integers(count)] = stretch[:, rng.integers(count)]
    sites = rng.integers(0, 3, count)
    telling, prints = twins.fingerprints(stretch)
    maybe = set(telling[twins.may_be_alike(prints, sites[telling])].tolist())
    exact = {
        at
        for at in range(count)
        for other in range(count)
        if sites[at] != sites[other]
        and (stretch[:, at] == stretch[:, other]).all()
        and len(set(stretch[:, at])) >= 12
    }
    assert exact <= maybe
    assert exact == set(np.flatnonzero(twins.twins(stretch, sites.tolist())).tolist())


@pytest.mark.parametrize(("values", "is_twin"), [(12, True), (11, False)])
def test_twins_need_values_that_chance_does_not_repeat(values, is_twin):
    """Two empty homes, or two dark roofs, are alike and no twins."""
    row = np.arange(24) % values
    found = twins.twins(np.stack([row, row], axis=1), [0, 1])
    assert found.all() == found.any() == is_twin


def test_detectors_beside_those_of_pvanalytics():
    """In the same run, on the same labels, given what suits theirs best: ours are not behind in either figure."""
    ours, theirs = faults.found(), yardstick.best()
    assert ours.precision >= theirs.precision > 0.9
    assert ours.recall >= theirs.recall > 0.9
