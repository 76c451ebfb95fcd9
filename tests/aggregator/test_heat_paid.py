"""Renewable heat: paid by the clock, over gaps, late and after a review; once."""

import time

import pytest

from aggregator.evidence import store
from aggregator.policy.rules import Policy
from aggregator.testing import POLICY, TIME_S, ident, write_papers

HOUR_S = 3600
HEAT = """
[heat]
rate_mc_per_kwh = 500
[[heat.time]]
months = "jul"
hours = "02:00-02:30"
rate_mc_per_kwh = 100
"""
RULES = Policy.parse(POLICY.text + HEAT, where="tests")


@pytest.fixture
def works(make_works):
    """The quarter with a policy that pays for heat, and its papers."""
    works = make_works(policy=RULES)
    write_papers(works.directory)
    (works.directory / "policy.toml").write_text(RULES.text)
    return works


def heat_meter(works):
    """The roof's meter as one of heat, registers of quantity 3."""
    works.clock.civil_s = TIME_S + HOUR_S
    meter = works.meters["sun-roof"]
    meter.quantities = (3,)
    return meter


def test_heat_earns_by_the_clock_and_over_gaps(works):
    """Four known quarters, two of them at the lower rate of the hour; then a gap of two that earns at the lowest."""
    meter = heat_meter(works)
    works.deliver(*meter.sign_each(TIME_S, [(0,), (1000,), (2000,), (3000,), (4000,)]))
    works.close_until(TIME_S + HOUR_S)
    works.deliver(meter.sign(TIME_S + HOUR_S + 1800, [(6000,)]))
    works.close_until(TIME_S + 2 * HOUR_S)
    found = works.rows(
        "SELECT (start_s - 1721001600) / 900, (end_s - start_s) / 900, energy_wh, amount_mc FROM earned"
    )
    assert sorted(found) == [
        (0, 1, 1000, 100),
        (1, 1, 1000, 100),
        (2, 1, 1000, 500),
        (3, 1, 1000, 500),
        (4, 2, 2000, 1000),
    ]
    assert works.balances() == {"sun": 1980, "association": 220}
    assert works.judged() == []
    with works.database.transaction() as connection:
        blocks = store.hashes(connection, range(1, store.last_id(connection) + 1)).values()
    assert {proof for (proof,) in works.rows("SELECT proof FROM earned")} <= set(blocks)


def test_heat_that_comes_late_earns_once(make_works, works):
    """A window closes without it; the next one counts it as a gap, and a restart in between changes nothing."""
    meter = heat_meter(works)
    blocks = meter.sign_each(TIME_S, [(0,), (1000,), (2000,), (3000,), (4000,), (5000,)])
    works.deliver(blocks[0])
    works.close_until(TIME_S + HOUR_S)
    again = make_works.reopen(works)
    again.deliver(*blocks[1:])
    again.close_until(TIME_S + 2 * HOUR_S)
    assert again.rows("SELECT sum(energy_wh) FROM earned") == [(5000,)]


def test_heat_beyond_the_rating_earns_nothing(works):
    """As any register: 9 kW are 2250 Wh and one of rounding in a quarter of an hour."""
    works.deliver(*heat_meter(works).sign_each(TIME_S, [(0,), (2251,), (4503,)]))
    works.close_until(TIME_S + HOUR_S)
    assert works.rows("SELECT energy_wh FROM earned") == [(2251,)]


def held_heat(works):
    """Two quarter hours of which the second counts more heat than 9 kW can."""
    meter = heat_meter(works)
    works.deliver(*meter.sign_each(TIME_S, [(0,), (2251,), (4503,), (5503,), (6503,)]))
    works.close_until(TIME_S + HOUR_S)
    assert works.rows("SELECT energy_wh FROM earned ORDER BY start_s") == [(2251,), (1000,), (1000,)]
    assert works.rows("SELECT start_s, review_place FROM held") == [(TIME_S + 900, None)]
    return f"{ident('sun-roof').hex()[:8]}@{TIME_S + 900}"


def review(works, verdict, hold, *words):
    clock = ("--clock", f"{works.clock.civil_s:.0f}@{time.time():.0f}x1")
    code, _said, errors = works.while_running(
        "holds", verdict, works.directory, hold, "--reason", "a new boiler", *words, *clock
    )
    assert (code, errors) == (0, "")


@pytest.mark.parametrize(("words", "energy_wh"), [((), 2252), (("--wh", "500"), 500)])
def test_heat_that_was_held_earns_when_it_is_released(make_works, works, words, energy_wh):
    """As heat, in the window in which it became known, once: with what the register counted or the steward found."""
    review(works, "release", held_heat(works), *words)
    before = works.balances()["sun"]
    works.close_until(TIME_S + 2 * HOUR_S)
    assert works.rows("SELECT source, energy_wh FROM earned WHERE revision = 2") == [(5, energy_wh)]
    gross_mc = energy_wh // 10
    assert works.balances()["sun"] == before + gross_mc - gross_mc // 10
    assert [claim for claim in works.claims() if claim[4] == 2] == []
    again = make_works.reopen(works)
    again.close_until(TIME_S + 3 * HOUR_S)
    assert again.balances() == works.balances()
    assert again.judged() == []


def test_heat_that_was_held_and_is_rejected(works):
    """Never earns, and what comes after it does."""
    review(works, "reject", held_heat(works))
    works.deliver(*works.meters["sun-roof"].sign_each(TIME_S + HOUR_S, [(6503,), (7503,)]))
    works.close_until(TIME_S + 2 * HOUR_S)
    assert works.rows("SELECT sum(energy_wh) FROM earned") == [(5251,)]
    assert works.judged() == []


def test_heat_that_only_heat_finds_hard_to_believe(make_works, works):
    """A reading that came after its interval parts a gap that settling found believable: the steep half waits."""
    meter = heat_meter(works)
    first = meter.sign(TIME_S, [(0,)])
    middle, last = meter.sign(TIME_S + 900, [(2400,)]), meter.sign(TIME_S + 1800, [(2500,)])
    works.deliver(first, last)
    works.close_until(TIME_S + 2700)
    works.deliver(middle)
    works.close_until(TIME_S + HOUR_S)
    assert works.rows("SELECT start_s, end_s, reason, energy_wh FROM held") == [(TIME_S, TIME_S + 900, 3, 2400)]
    assert works.rows("SELECT energy_wh FROM earned") == [(100,)]
    review(works, "release", f"{ident('sun-roof').hex()[:8]}@{TIME_S}")
    works.close_until(TIME_S + 2 * HOUR_S)
    assert works.rows("SELECT sum(energy_wh) FROM earned") == [(2500,)]
    assert works.judged() == []
