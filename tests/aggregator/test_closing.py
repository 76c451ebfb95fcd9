"""From delivered blocks to claims, mints and balances, through the real stages."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator import testing
from aggregator.commune import replacing
from aggregator.testing import TIME_S, MeterStandIn, ident
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.refusal import Hold, Refusal
from commonwatt.registry import Status
from ledger import testing as book
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.sequencer import Placed

HOUR_S = TIME_S + 3600


def hour(works):
    """Four intervals: the sun sends 300, 0, 500 and 100 Wh to the grid, its roof makes 100 more than that each."""
    meters = works.meters
    return [
        *meters["sun-main"].sign_each(TIME_S, [(0, 0), (0, 300), (50, 300), (50, 800), (50, 900)]),
        *meters["sun-roof"].sign_each(TIME_S, [(0,), (400,), (500,), (1100,), (1300,)]),
        *meters["ana-main"].sign_each(TIME_S, [(1000, 0), (1100, 0), (1200, 0), (1300, 0), (1400, 0)]),
        *meters["ben-main"].sign_each(TIME_S, [(7, 0), (57, 0), (107, 0), (157, 0), (257, 0)]),
        *meters["ana-plug"].sign_each(TIME_S, [(0,), (90,), (180,), (270,), (360,)]),
    ]


HOUR_CLAIMS = {
    ("sun-roof", 0, 1, 1, 0, 400, 320),
    ("ana-main", 0, 1, 2, 0, 100, 20),
    ("ben-main", 0, 1, 2, 0, 50, 10),
    ("sun-roof", 1, 1, 1, 0, 100, 80),
    ("sun-roof", 2, 1, 1, 0, 600, 480),
    ("ana-main", 2, 1, 2, 0, 100, 20),
    ("ben-main", 2, 1, 2, 0, 50, 10),
    ("sun-roof", 3, 1, 1, 0, 200, 160),
    ("ana-main", 3, 1, 2, 0, 50, 10),
    ("ben-main", 3, 1, 2, 0, 50, 10),
}
HOUR_BALANCES = {"ana": 45, "ben": 27, "sun": 936, "association": 112}


@pytest.mark.engines("sqlite", "postgres")
def test_credits_follow_from_an_hour_of_readings(works):
    """An hour worked out by hand: production, matching pro rata, the association's share, one mint per source."""
    assert works.deliver(*hour(works)) == {}
    works.close_until(HOUR_S)
    assert set(works.claims()) == HOUR_CLAIMS
    assert works.balances() == HOUR_BALANCES
    assert works.rows("SELECT supply_wh, demand_wh, matched_wh, unallocated_wh FROM closing ORDER BY end_s") == [
        (300, 150, 150, 150),
        (0, 200, 0, 0),
        (500, 150, 150, 350),
        (100, 200, 100, 0),
    ]


def test_nothing_closes_while_the_grace_lasts(works):
    """An interval waits for exactly its grace."""
    works.deliver(*hour(works))
    works.clock.civil_s = TIME_S + 900 + 3599.5
    assert works.closer.step(works.intake.directory) == 0
    works.clock.civil_s += 0.5
    assert works.closer.step(works.intake.directory) == 1


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_any_order_gives_the_same_books_within_the_grace(make_works, seed):
    """Blocks shuffled, repeated, delayed within the grace and cut into batches anywhere change nothing."""
    rng = random.Random(seed)
    works = make_works()
    blocks = hour(works)
    stream = blocks + rng.choices(blocks, k=len(blocks))
    rng.shuffle(stream)
    while stream:
        size = rng.randint(1, len(stream))
        assert works.deliver(*stream[:size]) == {}
        stream = stream[size:]
        works.clock.civil_s = min(works.clock.civil_s + rng.randint(0, 300), TIME_S + 900 + 3599)
        works.closer.step(works.intake.directory)
    works.close_until(HOUR_S)
    assert set(works.claims()) == HOUR_CLAIMS
    assert works.balances() == HOUR_BALANCES


def test_a_late_block_earns_what_was_left_and_takes_nothing_back(works):
    """Beyond the grace production is paid in full, consumption as far as the interval still had energy."""
    blocks = hour(works)
    late = blocks[8]  # ana's first quarter of an hour
    works.deliver(*(block for block in blocks if block is not late))
    works.close_until(HOUR_S)
    before = works.balances()
    assert ("ben-main", 0, 1, 2, 0, 50, 10) in works.claims()
    # Ana's reading at TIME_S came with the late block only; the account had begun 15 minutes later.
    assert works.deliver(late) == {}
    works.close_until(HOUR_S + 3600)
    assert works.balances() == before


@pytest.mark.engines("sqlite", "postgres")
def test_a_gap_is_paid_at_the_lowest_rate_of_its_intervals(works):
    """A missing middle: the registers tell the energy, matched only as far as every interval had some left."""
    blocks = hour(works)
    gone = {blocks[9], blocks[10]}  # ana's second and third quarter: readings at 900 and 2700 remain
    works.deliver(*(block for block in blocks if block not in gone))
    works.close_until(HOUR_S)
    claims = works.claims()
    assert ("ana-main", 1, 2, 2, 1, 200, 40) not in claims  # the second interval had no supply at all
    assert [claim for claim in claims if claim[0] == "ana-main"] == [
        ("ana-main", 0, 1, 2, 0, 100, 20),
        ("ana-main", 3, 1, 2, 0, 50, 10),
    ]
    assert works.rows("SELECT device, first_seq, last_seq FROM gap") == [(ident("ana-main"), 1, 2)]


def test_a_gap_takes_what_every_interval_had_left(works):
    """Over intervals with supply left a gap counts as matched, and that much is gone from each of them."""
    meters = works.meters
    works.deliver(
        *meters["sun-main"].sign_each(TIME_S, [(0, 0), (0, 300), (0, 500), (0, 1000)]),
        meters["ana-main"].sign(TIME_S, [(0, 0)]),
        meters["ana-main"].sign(TIME_S + 2700, [(950, 0)]),
    )
    works.close_until(HOUR_S)
    assert works.claims() == [("ana-main", 0, 3, 2, 1, 200, 40)]
    assert works.rows("SELECT left_wh FROM pool ORDER BY end_s LIMIT 3") == [(100,), (0,), (300,)]
    assert works.rows("SELECT unallocated_wh FROM closing ORDER BY end_s LIMIT 3") == [(300,), (200,), (500,)]


def test_production_over_a_gap_is_paid_once(works):
    """A generator's lost block loses no energy: one claim over the gap."""
    roof = works.meters["sun-roof"]
    first, _lost, last = [roof.sign(TIME_S + 900 * index, [(wh,)]) for index, wh in enumerate((0, 100, 250))]
    works.deliver(last, first)
    works.close_until(HOUR_S)
    assert works.claims() == [("sun-roof", 0, 2, 1, 1, 250, 200)]


@pytest.mark.parametrize(
    ("rows", "received_s", "reason"),
    [
        ([(500,), (400,)], TIME_S + 1000, Hold.BACKWARDS),
        ([(0,), (10,)], TIME_S + 839, Hold.FUTURE),
        ([(0,), (2252,)], TIME_S + 1000, Hold.ABOVE_RATING),
    ],
)
def test_an_implausible_span_is_held_and_its_block_kept(works, rows, received_s, reason):
    """The block is evidence, the claim waits with its reason, and the device goes on from there."""
    roof = works.meters["sun-roof"]
    works.clock.civil_s = received_s
    assert works.deliver(roof.sign(TIME_S, rows[:1]), roof.sign(TIME_S + 900, rows[1:])) == {}
    works.clock.civil_s = TIME_S + 2000
    (end_wh,) = rows[1]
    works.deliver(roof.sign(TIME_S + 1800, [(end_wh + 100,)]))
    works.close_until(HOUR_S)
    assert works.rows("SELECT reason, energy_wh FROM held") == [(reason, end_wh - rows[0][0])]
    assert works.claims() == [("sun-roof", 1, 1, 1, 0, 100, 80)]


def test_the_limits_of_plausibility_themselves_are_paid(works):
    """60 s ahead and exactly the rated energy plus 1 Wh of rounding are still believed."""
    roof = works.meters["sun-roof"]
    works.clock.civil_s = TIME_S + 840
    works.deliver(roof.sign(TIME_S, [(0,), (2251,)]))
    works.close_until(HOUR_S)
    assert works.claims() == [("sun-roof", 0, 1, 1, 0, 2251, 1800)]


def test_a_device_with_two_histories_is_frozen(works):
    """After a conflict nothing of the device is paid; its blocks are kept."""
    roof, twin = works.meters["sun-roof"], testing.meters()["sun-roof"]
    works.deliver(roof.sign(TIME_S, [(0,), (100,)]))
    assert works.deliver(twin.sign(TIME_S, [(0,), (999,)])) == {0: Refusal.CONFLICT}
    works.close_until(HOUR_S)
    assert works.claims() == []
    assert works.rows("SELECT reason FROM held") == [(Hold.FROZEN,)]


def test_a_replaced_meter_is_not_counted_twice(works, make_works):
    """Both measured for half an hour; of the new one what lies before the replacement is the old one's."""
    replaced = SetStatus(
        Subject.DEVICE, ident("ana-main"), Status.REVOKED, replacing.text_of(ident("ana-new"), TIME_S + 1800)
    )
    admitted = book.device("ana-new", "ana's")
    answers = works.ledger.submit([admitted, book.signed(replaced, "steward")])
    assert all(isinstance(answer, Placed) for answer in answers)
    works.ledger.publish()
    again = make_works.reopen(works)
    new = MeterStandIn("ana-new", (IMPORT.number, EXPORT.number))
    sun = again.meters["sun-main"]
    again.deliver(new.sign(TIME_S, [(0, 0), (40, 0), (80, 0), (120, 0)]))
    again.deliver(sun.sign(TIME_S, [(0, 0), (0, 100), (0, 200), (0, 300)]))
    again.close_until(TIME_S + 2700)
    again.meters["ana-new"] = new
    assert [row[1:6] for row in again.claims() if row[0] == "ana-new"] == [(2, 1, 2, 0, 40)]
    assert again.rows("SELECT demand_wh FROM closing ORDER BY end_s") == [(0,), (0,), (40,)]
    assert again.judged() == []


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_what_comes_beyond_the_grace_takes_nothing_back(make_works, seed):
    """Some blocks come hours late, in any order and twice: what was credited stays, and nobody gets more than the
    clean stream gives; every watt-hour of the roof is paid once, but for those before its first reading in time."""
    rng = random.Random(seed)
    works = make_works()
    blocks = hour(works)
    late = rng.sample(blocks, rng.randint(1, len(blocks) - 1))
    works.clock.civil_s = HOUR_S
    works.deliver(*(block for block in blocks if block not in late))
    works.close_until(HOUR_S)
    before, claimed = works.balances(), set(works.claims())
    stream = late + rng.choices(blocks, k=4)
    rng.shuffle(stream)
    for block in stream:
        works.deliver(block)
        works.clock.civil_s += rng.choice([0, 900])
        works.closer.step(works.intake.directory)
    works.close_until(HOUR_S + 4 * 3600)
    after = works.balances()
    assert claimed <= set(works.claims())
    assert all(after.get(name, 0) >= amount_mc for name, amount_mc in before.items())
    paid_wh = sum(claim[5] for claim in works.claims() if claim[0] == "sun-roof")
    assert paid_wh <= sum(claim[5] for claim in HOUR_CLAIMS if claim[0] == "sun-roof")
    assert sum(after.values()) <= sum(HOUR_BALANCES.values())
    assert works.judged() == []
