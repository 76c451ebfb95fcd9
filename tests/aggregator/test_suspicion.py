"""Claims that a device's last days make hard to believe: held before their window is minted, reviewed, judged."""

import random

import pytest

from aggregator.plausibility import days
from aggregator.testing import TIME_S, ident
from commonwatt.demo.judge.evidence import Closing, Reading
from commonwatt.demo.judge.past import Past
from commonwatt.refusal import Hold
from commonwatt.registry import Status
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.testing import signed

HOUR_S, DAY_S = 3600, 86_400


def produce(works, growths_wh):
    """The roof makes this much in quarter hours from its last block on, in blocks of four."""
    roof = works.meters["sun-roof"]
    register_wh = getattr(works, "register_wh", 0)
    for first in range(0, len(growths_wh), 4):
        start_s = TIME_S + HOUR_S * roof.seq
        rows = [(register_wh,)]
        for growth_wh in growths_wh[first : first + 4]:
            register_wh += growth_wh
            rows.append((register_wh,))
        works.clock.civil_s = max(works.clock.civil_s, start_s + 900 * (len(rows) - 1))
        works.deliver(roof.sign(start_s, rows))
    works.register_wh = register_wh


def held(works):
    """Quarter of the beginning after TIME_S, reason and energy of what is held."""
    rows = works.rows("SELECT start_s, reason, energy_wh FROM held ORDER BY start_s")
    return [((start_s - TIME_S) // 900, Hold(reason), wh) for start_s, reason, wh in rows]


def test_a_meter_that_stands_still_is_held_before_the_mint(works):
    """Nine quarters of 100 Wh: the first hour is paid before anybody could know, what comes after it waits."""
    produce(works, [*[100] * 9, 7, 8, 9])
    works.close_until(TIME_S + 3 * HOUR_S)
    assert held(works) == [(quarter, Hold.STUCK, 100) for quarter in range(4, 9)]
    assert [claim[1] for claim in works.claims()] == [0, 1, 2, 3, 9, 10, 11]
    assert works.balances() == {"sun": 288 + 17, "association": 32 + 1}
    assert works.judged() == []


def test_seven_quarter_hours_alike_are_believed(works):
    """One fewer than the rule says."""
    produce(works, [90, *[100] * 7, 101, 7, 8, 9])
    works.close_until(TIME_S + 3 * HOUR_S)
    assert held(works) == []
    assert works.judged() == []


def test_a_day_that_comes_twice_is_held(works):
    """A quarter of a day repeated a day later: what the window still had not minted waits as copied."""
    rng = random.Random(5)
    day = [rng.randint(20, 900) for _ in range(96)]
    produce(works, [*day, *day[:26], 1, 2])
    works.close_until(TIME_S + DAY_S + 7 * HOUR_S)
    assert held(works) == [(quarter, Hold.COPIED, day[quarter - 96]) for quarter in range(116, 122)]
    assert works.judged() == []


@pytest.mark.parametrize(("verdict", "earned"), [("release", 5 * 80), ("reject", 0)])
def test_a_held_claim_when_it_is_reviewed(make_works, verdict, earned):
    """Released it earns once, with the energy that was allocated to it; rejected it never earns."""
    works = make_works()
    produce(works, [*[100] * 9, 7, 8, 9])
    works.close_until(TIME_S + 3 * HOUR_S)
    for quarter in range(4, 9):
        text = f"{verdict} {TIME_S + 900 * quarter}: the sun was like that"
        works.ledger.submit([signed(SetStatus(Subject.DEVICE, ident("sun-roof"), Status.ACTIVE, text), "steward")])
    works.ledger.publish()
    again = make_works.reopen(works)
    before = sum(again.balances().values())
    again.close_until(TIME_S + 4 * HOUR_S)
    assert sum(again.balances().values()) == before + earned
    once_more = make_works.reopen(again)
    once_more.close_until(TIME_S + 6 * HOUR_S)
    assert once_more.balances() == again.balances()
    assert once_more.judged() == []


def test_a_held_neighbour_keeps_its_part_of_the_interval(make_works):
    """What was allocated to a held claim is nobody else's meanwhile, and is not taken twice when it is released."""
    works = make_works()
    for quarter in range(8):
        works.clock.civil_s = max(works.clock.civil_s, TIME_S + 900 * (quarter + 1))
        start_s = TIME_S + 900 * quarter
        sun = [(0, 300 * at + at % 2) for at in (quarter, quarter + 1)]
        works.deliver(
            works.meters["sun-main"].sign(start_s, sun),
            works.meters["ana-main"].sign(start_s, [(100 * quarter, 0), (100 * quarter + 100, 0)]),
        )
    works.close_until(TIME_S + 2 * HOUR_S)
    left = works.rows("SELECT left_wh FROM pool ORDER BY end_s")
    assert held(works) == [(quarter, Hold.STUCK, 100) for quarter in range(4, 8)]
    text = f"release {TIME_S + 900 * 5}: a heat pump"
    works.ledger.submit([signed(SetStatus(Subject.DEVICE, ident("ana-main"), Status.ACTIVE, text), "steward")])
    works.ledger.publish()
    again = make_works.reopen(works)
    again.close_until(TIME_S + 3 * HOUR_S)
    assert [claim for claim in again.claims() if claim[4] == 2] == [("ana-main", 5, 1, 2, 2, 100, 20)]
    assert again.rows("SELECT left_wh FROM pool ORDER BY end_s")[: len(left)] == left
    assert again.judged() == []


def plugged(works, plug_wh):
    """An hour of Ana with a plug that uses this much a quarter hour; she draws 100, 110, 120 and 130 from the sun."""
    works.clock.civil_s = TIME_S + HOUR_S
    works.deliver(
        *works.meters["sun-main"].sign_each(TIME_S, [(0, 300 * at) for at in range(5)]),
        *works.meters["ana-main"].sign_each(TIME_S, [(0, 0), (100, 0), (210, 0), (330, 0), (460, 0)]),
        *works.meters["ana-plug"].sign_each(TIME_S, [(sum(plug_wh[:at]),) for at in range(5)]),
    )
    works.close_until(TIME_S + HOUR_S)


def test_a_home_whose_plugs_use_more_than_it_does_is_held(works):
    """100 + 15 + 1 Wh are within what meters disagree by, 126 + 1 of 110 are not; the other quarters are paid."""
    plugged(works, [116, 127, 20, 30])
    assert held(works) == [(1, Hold.PLUGS_EXCEED, 110)]
    assert [claim[1] for claim in works.claims()] == [0, 2, 3]
    assert works.judged() == []


def test_a_home_whose_main_meter_missed_an_interval_is_not_accused(works):
    """Without the home's own figure a plug says nothing; the gap is paid by the registers."""
    works.clock.civil_s = TIME_S + HOUR_S
    main = works.meters["ana-main"]
    first, _lost, last = (main.sign(TIME_S + 1800 * at, [(10 * at, 0), (10 * at + 5, 0)]) for at in range(3))
    plug = works.meters["ana-plug"].sign_each(TIME_S, [(900 * at,) for at in range(5)])
    sun = works.meters["sun-main"].sign_each(TIME_S, [(0, 300 * at) for at in range(5)])
    works.deliver(first, last, *sun, *plug[1:])
    works.close_until(TIME_S + HOUR_S)
    assert held(works) == []
    assert works.judged() == []


def test_the_judge_names_a_suspicious_claim_that_was_paid(works):
    """Who leaves the review out pays what should wait."""
    produce(works, [*[100] * 9, 7, 8, 9])
    works.close_until(TIME_S + 3 * HOUR_S)
    with works.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM held")
    assert any(text.startswith("held span") for text in works.judged())


@pytest.mark.parametrize("seed", range(12))
def test_judge_and_aggregator_suspect_alike(seed):
    """Eight days of a meter with holes, standstills and repeated stretches, quarter hour by quarter hour."""
    rng = random.Random(seed)
    steps = [rng.choice([0, 3, rng.randint(0, 900)]) for _ in range(8 * 96)]
    for _ in range(6):
        at, length = rng.randrange(700), rng.randint(6, 10)
        steps[at : at + length] = [rng.choice([19, 20, 250])] * length
    for _ in range(4):
        at, length, back = rng.randrange(96 * 7, 8 * 96 - 30), rng.randint(22, 30), rng.randint(1, 7) * 96
        steps[at : at + length] = steps[at - back : at - back + length]
    steps = steps[: 8 * 96]
    registers = [1000]
    for step in steps:
        registers.append(registers[-1] + step)
    kept = {900 * at: {2: wh} for at, wh in enumerate(registers) if rng.random() > 0.004}
    end_s = 900 * 8 * 96
    readings = [Reading(time_s, row, 1, time_s, 0, b"") for time_s, row in kept.items()]
    past = Past(readings, Closing(end_s, 1, 0, (0, 0, 0, 0)))
    found = days.suspicions(kept, end_s)
    judged = {at: reason for at in range(0, end_s, 900) if (reason := past.suspicion(at, at + 900))}
    assert judged == {at: int(reason) for at, reason in found.items()}
    assert found
