"""The judge's own settlement: by hand for every sentence of the rule, and against the aggregator's by chance.

The two were written apart from docs/spec/settlement.md; where they agree on odd spans, the text is clear.
"""

import random
from dataclasses import replace

import pytest

from aggregator.settling import interval, settlement
from aggregator.settling.interval import Meter
from commonwatt.demo.judge.book import Device
from commonwatt.demo.judge.evidence import Closing, Reading
from commonwatt.demo.judge.policies import Policies, Policy, Source
from commonwatt.demo.judge.settle import (
    ABOVE_RATING,
    BACKWARDS,
    FROM_MATCHING,
    FROM_PRODUCTION,
    FROZEN,
    FUTURE,
    Settlement,
    shares,
)
from ledger.book.body import DeviceRole

POLICY = Policy(grace_s=900, window_s=3600, share_permille=100, sources={1: Source(800), 2: Source(200)})
ROOF, SUN, ANNA, BERT, PLUG = (bytes([number]) * 16 for number in range(1, 6))
SITES = {ROOF: b"sun", SUN: b"sun", ANNA: b"anna", BERT: b"bert", PLUG: b"anna"}
ROLES = {ROOF: 2, SUN: 1, ANNA: 1, BERT: 1, PLUG: 3}
DEVICES = {device: Device(device, SITES[device], b"", ROLES[device], 4000) for device in ROLES}
QUANTITIES = {ROOF: (2,), SUN: (1, 2), ANNA: (1,), BERT: (1,), PLUG: (1,)}


def reading(quarter, registers_wh, evidence_id=1, seq=0, received_s=10**6):
    return Reading(900 * quarter, registers_wh, evidence_id, seq, received_s, bytes([evidence_id]) * 32)


def settled(readings, evidence_id_max_by_quarter, frozen_from=None, conflict_id_max=0):
    """Close the quarters in order; which evidence each one knew is given."""
    book = Settlement(
        devices=DEVICES,
        site_members={site: site for site in SITES.values()},
        readings=readings,
        frozen_from=frozen_from or {},
        policies=Policies([(0, POLICY, b"")]),
    )
    for quarter, evidence_id_max in evidence_id_max_by_quarter.items():
        book.close(Closing(900 * quarter, evidence_id_max, conflict_id_max, (0, 0, 0, 0)))
    return book.settled


def claims(result):
    return [
        (claim.device, claim.start_s // 900, claim.end_s // 900, claim.source, claim.revision, claim.energy_wh)
        for claim in result.claims
    ]


def export(*registers_wh, evidence_id=1):
    return [reading(quarter, {1: 0, 2: wh}, evidence_id) for quarter, wh in enumerate(registers_wh)]


def demand(*registers_wh, evidence_id=1):
    return [reading(quarter, {1: wh}, evidence_id) for quarter, wh in enumerate(registers_wh)]


def test_late_span_takes_what_its_interval_left():
    """Bert's block comes after the first closing: he gets the 60 Wh that Anna left, under revision 1."""
    result = settled({SUN: export(0, 100), ANNA: demand(0, 40), BERT: demand(0, 90, evidence_id=2)}, {1: 1, 2: 2})
    assert claims(result) == [(ANNA, 0, 1, FROM_MATCHING, 0, 40), (BERT, 0, 1, FROM_MATCHING, 1, 60)]
    assert [claim.closing_s for claim in result.claims] == [900, 1800]
    assert result.figures == {900: (100, 40, 40, 60), 1800: (0, 0, 0, 0)}


def test_second_late_span_finds_what_the_first_left():
    """Late spans take in the order of device ids, and what is taken is gone."""
    late = {ANNA: demand(0, 70, evidence_id=2), BERT: demand(0, 90, evidence_id=2)}
    assert claims(settled({SUN: export(0, 100), **late}, {1: 1, 2: 2})) == [
        (ANNA, 0, 1, FROM_MATCHING, 1, 70),
        (BERT, 0, 1, FROM_MATCHING, 1, 30),
    ]


def test_export_inside_a_gap_joins_no_pool():
    """The sun's gap supplies nobody; the roof's growth over its gap is credited whole."""
    gap = [reading(0, {1: 0, 2: 0}), reading(2, {1: 0, 2: 500})]
    roof = [reading(0, {2: 7}), reading(2, {2: 507})]
    result = settled({SUN: gap, ROOF: roof, ANNA: demand(0, 40, 80)}, {1: 1, 2: 1})
    assert claims(result) == [(ROOF, 0, 2, FROM_PRODUCTION, 1, 500)]
    assert sorted(result.gap_intervals) == [900, 900, 1800, 1800]


def test_sub_meter_is_never_paid():
    """A plug behind Anna's main meter grows and earns nothing."""
    assert claims(settled({SUN: export(0, 100), PLUG: demand(0, 40)}, {1: 1})) == []


def test_smaller_seq_counts_when_two_blocks_read_the_same_time():
    """Blocks overlap at their ends; the earlier block gave the reading."""
    readings = [reading(0, {1: 0}), reading(1, {1: 50}, 2, seq=1), reading(1, {1: 50}, 1, seq=0)]
    result = settled({SUN: export(0, 100), ANNA: readings}, {1: 2})
    assert [claim.block_sha256 for claim in result.claims] == [bytes([1]) * 32]


def test_reading_before_the_last_settled_one_changes_nothing():
    """A block that closes a gap already settled is evidence, and its energy is paid."""
    anna = [reading(0, {1: 0}), reading(2, {1: 80}), reading(1, {1: 40}, 2)]
    result = settled({SUN: export(0, 100, 200), ANNA: anna}, {1: 1, 2: 1, 3: 2})
    assert claims(result) == [(ANNA, 0, 2, FROM_MATCHING, 1, 80)]


@pytest.mark.parametrize(
    ("first_wh", "second", "frozen", "reason"),
    [
        (50, reading(1, {1: 40}), False, BACKWARDS),
        (0, reading(1, {1: 10}, received_s=839), False, FUTURE),
        (0, reading(1, {1: 10}, received_s=840), False, None),
        (0, reading(1, {1: 1002}), False, ABOVE_RATING),
        (0, reading(1, {1: 1001}), False, None),
        (0, reading(1, {1: 10}), True, FROZEN),
        (0, reading(1, {1: 1002}, received_s=0), True, FUTURE),
    ],
)
def test_span_is_held_for_the_first_reason(first_wh, second, frozen, reason):
    """At each limit and one over; a held span neither earns nor joins the pool."""
    anna = [reading(0, {1: first_wh}), second]
    result = settled({SUN: export(0, 1001), ANNA: anna}, {1: 1}, {ANNA: 3} if frozen else {}, conflict_id_max=3)
    assert [row[3] for row in result.held] == ([reason] if reason else [])
    assert result.figures[900][1] == (0 if reason else second.registers_wh[1])


def test_device_is_not_frozen_before_its_conflict_was_known():
    """The closing says which conflicts it knew."""
    readings = {SUN: export(0, 100), ANNA: demand(0, 40)}
    assert settled(readings, {1: 1}, {ANNA: 4}, conflict_id_max=3).held == []


def test_shares_go_to_the_largest_remainder_then_to_the_smaller_id():
    """10 among 1, 1 and 1: the odd one goes to the smallest id; nobody wants anything: nobody gets anything."""
    assert shares(10, {b"c": 1, b"a": 1, b"b": 1}) == {b"c": 3, b"a": 4, b"b": 3}
    assert shares(2, {b"a": 2, b"b": 3}) == {b"a": 1, b"b": 1}
    assert shares(0, {}) == {}


def by_chance(seed):
    """Readings of an odd day: some lost, late, backwards, far too large or from the future, some twice."""
    dice = random.Random(seed)
    readings = {}
    for device, quantities in QUANTITIES.items():
        registers_wh = dict.fromkeys(quantities, 1000)
        readings[device] = []
        for quarter in range(dice.choice([0, 0, 3]), 24):
            for quantity in quantities:
                registers_wh[quantity] += dice.choice([0, 10, dice.randrange(900), dice.randrange(900), 1500, -5])
            received_s = 900 * quarter + dice.choice([500, 500, 500, 5, -70])
            for _ in range(dice.choice([0, 1, 1, 1, 1, 2])):
                seq = len(readings[device])
                known = quarter + dice.choice([0, 0, 0, 0, 2, 5])
                readings[device].append(reading(quarter, dict(registers_wh), known, seq, received_s))
    return readings, {ANNA: dice.randrange(40)} if dice.random() < 0.3 else {}


def settled_by_the_aggregator(readings, frozen_from):
    """The same closings through the aggregator's pure rooms."""
    meters = {d: Meter(d, DeviceRole(ROLES[d]), SITES[d], SITES[d], 4000) for d in ROLES}
    accounts, waiting, left_wh = {}, {d: list(rows) for d, rows in readings.items()}, {}
    found_claims, found_held, figures = [], [], {}
    for quarter in range(1, 31):
        end_s, spans = 900 * quarter, []
        for device, rows in waiting.items():
            known = [row for row in rows if row.time_s <= end_s and row.evidence_id <= quarter]
            waiting[device] = [row for row in rows if row not in known]
            taken = [
                settlement.Reading(device, r.time_s, r.seq, r.registers_wh, r.received_s, r.evidence_id)
                for r in known
            ]
            accounts[device], new = settlement.settle(accounts.get(device), taken)
            spans += new
        frozen = frozenset(device for device, conflict_id in frozen_from.items() if conflict_id <= quarter)
        closed = interval.close(end_s, spans, meters=meters, frozen=frozen, unallocated_wh=left_wh)
        left_wh = {**left_wh, **closed.left_wh}
        found_claims += [
            (c.device, c.start_s, c.end_s, c.source, c.revision, c.energy_wh, end_s, c.evidence_id)
            for c in closed.claims
        ]
        found_held += [(h.device, h.start_s, h.end_s, h.reason, h.energy_wh, end_s) for h in closed.held]
        pool = closed.pool
        figures[end_s] = (pool.supply_wh, pool.demand_wh, pool.matched_wh, pool.unallocated_wh)
    return sorted(found_claims), sorted(found_held), figures


@pytest.mark.parametrize("seed", range(60))
def test_judge_and_aggregator_settle_alike(seed):
    """Claims, holds and pools of an odd day are the same to the watt-hour. Its window has not ended."""
    readings, frozen_from = by_chance(seed)
    book = Settlement(
        devices=DEVICES,
        site_members={site: site for site in SITES.values()},
        readings=readings,
        frozen_from=frozen_from,
        policies=Policies([(0, replace(POLICY, window_s=86_400), b"")]),
    )
    for quarter in range(1, 31):
        book.close(Closing(900 * quarter, quarter, quarter, (0, 0, 0, 0)))
    mine = book.settled
    rows = [
        (c.device, c.start_s, c.end_s, c.source, c.revision, c.energy_wh, c.closing_s, c.block_sha256[0])
        for c in mine.claims
    ]
    assert (sorted(rows), sorted(mine.held), mine.figures) == settled_by_the_aggregator(readings, frozen_from)
    assert {row[4] for row in rows} == {0, 1}
    assert mine.held


@pytest.mark.parametrize(("closing_s", "start_s"), [(900, 0), (3600, 0), (4500, 3600), (86_400, 82_800)])
def test_window_when_an_interval_closes_on_its_edge(closing_s, start_s):
    """The window that contains the interval's start, also for the interval that ends with it."""
    assert POLICY.window_start_s(closing_s) == start_s
