"""Claims that contradict what their site declared, or a neighbour's meter: held, reviewed by the rule, judged."""

import random

import pytest
from typer.testing import CliRunner

from aggregator import testing
from aggregator.commune import declared
from aggregator.commune.attributes import SiteFacts
from aggregator.holds import reasons
from aggregator.holds.cli import app
from aggregator.plausibility import clearsky
from aggregator.plausibility.declared import Declared
from aggregator.settling import declarations
from aggregator.settling.closing import Closer
from aggregator.testing import TIME_S, ident
from commonwatt.demo.judge.declared import Declared as JudgesRow
from commonwatt.demo.judge.declared import _ceiling
from commonwatt.refusal import Hold

HOUR_S = 3600
ROOF = Declared(installed_wp=3000, latitude=46.2, longitude=5.2)


def declare(works, name, declared, from_s=TIME_S - 900):
    with works.database.transaction() as connection:
        known = declarations.as_of(connection, None)
        declarations.remember(connection, {**known, ident(f"{name}'s"): declared}, from_s)


def measure(works, name, start_s, growths):
    """A meter's registers grow by these from then on, in one block an hour; as many values as it has registers."""
    meter = works.meters[name]
    registers = works.__dict__.setdefault("registers", {}).setdefault(name, [0] * len(growths[0]))
    for first in range(0, len(growths), 4):
        rows = [tuple(registers)]
        for growth in growths[first : first + 4]:
            registers[:] = [wh + more for wh, more in zip(registers, growth, strict=True)]
            rows.append(tuple(registers))
        works.clock.civil_s = max(works.clock.civil_s, start_s + 900 * (first + len(rows) - 1))
        works.deliver(meter.sign(start_s + 900 * first, rows))


def held(works):
    """Device, quarter of the beginning after TIME_S and reason of what is held."""
    names = {ident(name): name for name in works.meters}
    rows = works.rows("SELECT device, start_s, reason FROM held ORDER BY start_s, device")
    return [(names[device], (start_s - TIME_S) // 900, Hold(reason)) for device, start_s, reason in rows]


def test_production_at_night_is_held(works):
    """A roof that makes 30 Wh at two in the morning waits; its inverter's 2 Wh do not."""
    declare(works, "sun", ROOF)
    measure(works, "sun-roof", TIME_S, [(2,), (30,), (3,), (0,)])
    works.close_until(TIME_S + HOUR_S)
    assert held(works) == [("sun-roof", 1, Hold.NIGHT), ("sun-roof", 2, Hold.NIGHT)]
    assert [claim[1] for claim in works.claims()] == [0]
    assert works.judged() == []


def test_why_a_span_is_held_is_explained(works):
    """In words, with the figures that it was held against and the version that computed them."""
    declare(works, "sun", ROOF)
    declare(works, "ana", Declared(contracted_va=3000))
    measure(works, "sun-roof", TIME_S, [(2,), (30,)])
    measure(works, "sun-main", TIME_S, [(0, 2000)] * 2)
    measure(works, "ana-main", TIME_S, [(1052, 0), (7, 0)])
    works.close_until(TIME_S + HOUR_S)
    testing.write_papers(works.directory)
    said = {}
    for name, quarter in (("sun-roof", 1), ("ana-main", 0)):
        hold = f"{ident(name).hex()[:8]}@{TIME_S + 900 * quarter}"
        result = CliRunner().invoke(app, ["why", str(works.directory), hold])
        assert result.exit_code == 0, result.output
        said[name] = result.output
    assert "far below the horizon" in said["sun-roof"]
    assert "Measured 0.030 kWh; 3000 W of modules at 46.2, 5.2 make at most 0.002 kWh" in said["sun-roof"]
    assert f"pvlib {clearsky.version()}" in said["sun-roof"]
    assert "3000 VA lets at most 1.051 kWh through" in said["ana-main"]


def test_every_reason_is_explained():
    """A steward meets no number without words."""
    assert {reason.label for reason in Hold} <= reasons._WHY.keys()
    assert reasons._WHY.keys() == reasons._USUALLY.keys()


def test_a_roof_that_declared_nothing_is_not_judged_by_the_sun(works):
    """A watermill runs at night."""
    declare(works, "sun", Declared(installed_wp=3000))
    measure(works, "sun-roof", TIME_S, [(30,)] * 4)
    works.close_until(TIME_S + HOUR_S)
    assert held(works) == []
    assert works.judged() == []


def test_production_above_the_clear_sky_is_held(works):
    """At noon the ceiling is met to the watt-hour and passed by one."""
    declare(works, "sun", ROOF)
    noon = 12 * 4
    row = JudgesRow(ident("sun's"), 0, 3000, None, 46.2, 5.2, None, None, None)
    most = [_ceiling(row, TIME_S + 900 * at)[0] for at in range(noon, noon + 4)]
    measure(works, "sun-roof", TIME_S + noon * 900, [(wh,) for wh in (most[0], most[1] + 1, most[2] - 7, 5)])
    works.close_until(TIME_S + 13 * HOUR_S)
    assert held(works) == [("sun-roof", noon + 1, Hold.ABOVE_CLEAR_SKY)]
    assert works.judged() == []


def test_a_gap_is_held_against_the_sky_of_its_whole_span(works):
    """What came by two hours without readings may come at any time of them, but not more."""
    declare(works, "sun", ROOF)
    for start_s, register_wh in ((TIME_S + 9 * HOUR_S, 0), (TIME_S + 11 * HOUR_S + 900, 7000)):
        works.clock.civil_s = max(works.clock.civil_s, start_s + 900)
        works.deliver(works.meters["sun-roof"].sign(start_s, [(register_wh,), (register_wh + 10,)]))
    works.close_until(TIME_S + 12 * HOUR_S)
    assert held(works) == [("sun-roof", 37, Hold.ABOVE_CLEAR_SKY)]
    assert works.judged() == []


def test_storage_gives_back_at_night_what_it_holds(works):
    """A battery of 100 Wh behind the generator's meter explains as much and no more, over a window."""
    declare(works, "sun", Declared(installed_wp=3000, latitude=46.2, longitude=5.2, storage_wh=100))
    measure(works, "sun-roof", TIME_S, [(40,), (40,), (20,), (8,), (60,), (40,), (8,), (1,)])
    works.close_until(TIME_S + 2 * HOUR_S)
    assert held(works) == [("sun-roof", at, Hold.NIGHT) for at in range(4, 8)]
    assert works.judged() == []


def test_import_above_the_contract_is_held(works):
    """3 kVA let 1,050 Wh through in a quarter hour, and a watt-hour of rounding."""
    declare(works, "ana", Declared(contracted_va=3000))
    measure(works, "sun-main", TIME_S, [(0, 2000)] * 4)
    measure(works, "ana-main", TIME_S, [(1051, 0), (1052, 0), (900, 0), (800, 0)])
    works.close_until(TIME_S + HOUR_S)
    assert held(works) == [("ana-main", 1, Hold.ABOVE_CONTRACT)]
    assert works.judged() == []


@pytest.mark.parametrize(("storage_wh", "expected"), [(None, []), (0, [1, 3]), (30, [3]), (400, [])])
def test_export_above_production_is_held(works, storage_wh, expected):
    """100 Wh made: 116 fed in are 1 Wh more than meters disagree by, 180 are 65; batteries explain what they hold."""
    declare(works, "sun", Declared(storage_wh=storage_wh))
    measure(works, "sun-roof", TIME_S, [(100,)] * 4)
    measure(works, "sun-main", TIME_S, [(0, 115), (0, 116), (0, 20), (0, 180)])
    works.close_until(TIME_S + HOUR_S)
    assert held(works) == [("sun-roof", at, Hold.EXPORT_EXCEEDS) for at in expected]
    assert works.judged() == []


def test_two_homes_that_measure_the_same_are_held(works):
    """Six hours alike to the watt-hour, of two homes: the hour that completes them waits, for both."""
    rng = random.Random(3)
    growths = [(rng.randint(20, 90), 0) for _ in range(28)]
    measure(works, "sun-main", TIME_S, [(0, 900)] * 28)
    measure(works, "ana-main", TIME_S, growths)
    measure(works, "ben-main", TIME_S, [*growths[:24], *((wh + 1, 0) for wh, _ in growths[24:])])
    works.close_until(TIME_S + 7 * HOUR_S)
    twins = [(name, at) for name, at, reason in held(works) if reason is Hold.TWIN]
    assert sorted(twins) == [(name, at) for name in ("ana-main", "ben-main") for at in range(20, 24)]
    assert works.judged() == []


def test_a_declaration_counts_from_the_next_window_on(works):
    """What was minted stays minted; what is declared later judges what comes later."""
    measure(works, "sun-roof", TIME_S, [(30,)] * 4)
    works.close_until(TIME_S + HOUR_S)
    declare(works, "sun", ROOF, from_s=TIME_S + HOUR_S)
    measure(works, "sun-roof", TIME_S + HOUR_S, [(31,), (32,), (33,), (34,)])
    works.close_until(TIME_S + 2 * HOUR_S)
    assert held(works) == [("sun-roof", at, Hold.NIGHT) for at in range(4, 8)]
    assert works.judged() == []


def test_declarations_when_they_change(works):
    """The last one before a window's end counts; one that never counted leaves no trace; withdrawing is declaring."""
    site = ident("sun's")
    steps = [(100, ROOF), (100, ROOF), (200, Declared(storage_wh=5)), (200, Declared(storage_wh=6)), (300, None)]
    with works.database.transaction() as connection:
        for from_s, declared in steps:
            declarations.remember(connection, {site: declared} if declared else {}, from_s)
        assert [row.from_s for row in declarations._rows(connection, None)] == [100, 200, 300]
        at = {end_s: declarations.as_of(connection, end_s).get(site) for end_s in (100, 101, 250, 301)}
    assert at == {100: None, 101: ROOF, 250: Declared(storage_wh=6), 301: Declared()}


@pytest.mark.parametrize("seed", range(8))
def test_judge_and_aggregator_see_the_same_sky(seed):
    """Any roof, anywhere a commune may lie, on any day: the same watt-hours from two readings of the rule."""
    rng = random.Random(seed)
    roof = Declared(
        installed_wp=rng.randint(300, 100_000),
        latitude=rng.uniform(-25, 52),
        longitude=rng.uniform(-62, 60),
        tilt_deg=rng.choice([None, rng.uniform(0, 90)]),
        azimuth_deg=rng.uniform(0, 360),
    )
    day_s = rng.randrange(1_600_000_000 // 86_400, 1_900_000_000 // 86_400) * 86_400
    limits = clearsky.limits([roof], day_s)
    row = JudgesRow(
        b"", 0, roof.installed_wp, None, roof.latitude, roof.longitude, roof.tilt_deg, roof.azimuth_deg, 0
    )
    judged = [_ceiling(row, at) for at in range(day_s, day_s + 86_400, 900)]
    assert [wh for wh, _night in judged] == limits.ceiling_wh[0].tolist()
    assert [night for _wh, night in judged] == limits.is_night[0].tolist()


def test_what_a_roster_declares_reaches_the_next_window(works):
    """From the facts of a site to a hold: the closer keeps them when it starts."""
    facts = SiteFacts(installed_wp=3000, latitude=46.2, longitude=5.2, storage_wh=0, contracted_power_va=6000)
    closer = works.closer
    works.closer = Closer(
        database=works.database,
        known=closer._known,
        genesis_s=TIME_S,
        clock=works.clock,
        declared={ident("sun's"): declared.of(facts)},
    )
    assert works.rows("SELECT from_s, installed_wp, contracted_va, storage_wh FROM declared") == [(0, 3000, 6000, 0)]
    measure(works, "sun-roof", TIME_S, [(2,), (30,)])
    works.close_until(TIME_S + HOUR_S)
    assert held(works) == [("sun-roof", 1, Hold.NIGHT)]
    assert works.judged() == []
