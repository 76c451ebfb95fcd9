"""One interval as pure arithmetic: matching, par, gaps."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.minting.valuation import amount_mc
from aggregator.settling.interval import HeldSpan, Meter, Source, close
from aggregator.settling.matching import largest_remainder, match, match_afterwards
from aggregator.settling.settlement import Span
from aggregator.testing import POLICY
from commonwatt.refusal import Hold
from ledger.book.kinds import DeviceRole

T = 1_721_002_500
IDS = [bytes([number]) * 16 for number in range(6)]
nets = st.dictionaries(st.sampled_from(IDS), st.integers(-50_000, 50_000))


@given(nets)
def test_matched_is_the_smaller_of_supply_and_demand(nets_wh):
    """The shares sum to it exactly, nobody gets more than the own demand, suppliers get none."""
    pool = match(nets_wh)
    assert pool.matched_wh == min(pool.supply_wh, pool.demand_wh) == sum(pool.shares_wh.values())
    assert pool.supply_wh - pool.demand_wh == -sum(nets_wh.values())
    assert all(0 <= share <= nets_wh[key] for key, share in pool.shares_wh.items())
    assert pool.unallocated_wh >= 0


@given(nets)
def test_shares_are_fair_to_the_watt_hour(nets_wh):
    """Nobody is more than 1 Wh away from the exact proportion."""
    pool = match(nets_wh)
    for key, share in pool.shares_wh.items():
        assert abs(share * pool.demand_wh - nets_wh[key] * pool.matched_wh) < pool.demand_wh


def test_ties_go_to_the_smaller_id():
    """Two equal claims on one odd watt-hour."""
    assert largest_remainder(3, {IDS[1]: 10, IDS[0]: 10}) == {IDS[0]: 2, IDS[1]: 1}


def test_a_gap_that_touches_nothing_closed_gets_nothing():
    """Before the first interval there is no pool to take from."""
    assert match_afterwards(100, {}) == 0
    assert match_afterwards(-5, {T: 100}) == 0
    assert match_afterwards(100, {T: 30, T + 900: 70}) == 30


def meters() -> dict[bytes, Meter]:
    """Three homes; the first has a roof, the second two main meters, the third a plug."""

    def meter(number: int, role: DeviceRole, home: int) -> Meter:
        return Meter(IDS[number], role, b"site%12d" % home, b"account%9d" % home, 10**6)

    rows = [
        meter(0, DeviceRole.MAIN, 0),
        meter(1, DeviceRole.PRODUCTION, 0),
        meter(2, DeviceRole.MAIN, 1),
        meter(3, DeviceRole.MAIN, 1),
        meter(4, DeviceRole.MAIN, 2),
        meter(5, DeviceRole.SUB_METER, 2),
    ]
    return {row.device: row for row in rows}


@st.composite
def days(draw: st.DrawFn) -> list[list[Span]]:
    """Eight intervals. The roof's export never exceeds its production; others come on time, late, or in gaps."""
    closings: list[list[Span]] = [[] for _ in range(8)]
    for device in IDS:
        index = 0
        while index < 8:
            length = draw(st.sampled_from([1, 1, 1, 2, 3]))
            settled_at = min(7, index + length - 1 + draw(st.sampled_from([0, 0, 0, 1, 2])))
            growth_wh = draw(_growth(device))
            start_s = T + 900 * (index - 1)
            span = Span(device, start_s, start_s + 900 * length, growth_wh, 2**40, 1)
            if index + length <= 8:
                closings[settled_at].append(span)
            index += length
    return closings


def _growth(device: bytes) -> st.SearchStrategy[dict[int, int]]:
    if device == IDS[0]:
        return st.builds(lambda wh: {1: 0, 2: wh}, st.integers(0, 4000))
    if device == IDS[1]:
        return st.builds(lambda wh: {2: wh}, st.integers(4000, 9000))
    return st.builds(lambda wh: {1: wh}, st.integers(0, 3000))


@given(days())
def test_no_kilowatt_hour_makes_more_than_one_credit(closings):
    """However late and gappy: matched energy never exceeds supply, and all amounts together stay within par."""
    left_wh: dict[int, int] = {}
    produced_wh = supplied_wh = matched_wh = total_mc = 0
    for index, spans in enumerate(closings):
        end_s = T + 900 * index
        closed = close(end_s, spans, meters=meters(), frozen=frozenset(), unallocated_wh=left_wh)
        left_wh.update(closed.left_wh)
        supplied_wh += closed.pool.supply_wh
        for claim in closed.claims:
            total_mc += amount_mc(claim, POLICY.rules)
            if claim.source is Source.PRODUCTION:
                produced_wh += claim.energy_wh
            else:
                matched_wh += claim.energy_wh
        assert all(wh >= 0 for wh in left_wh.values())
    assert matched_wh <= supplied_wh
    assert total_mc * 1000 <= produced_wh * 800 + matched_wh * 200


def test_a_sub_meter_is_never_paid():
    """Its energy is in the main meter's already; only the main meter's claim stands."""
    spans = [Span(IDS[4], T - 900, T, {1: 500}, T, 1), Span(IDS[5], T - 900, T, {1: 400}, T, 1)]
    spans.append(Span(IDS[0], T - 900, T, {1: 0, 2: 1000}, T, 1))
    closed = close(T, spans, meters=meters(), frozen=frozenset(), unallocated_wh={})
    assert [(claim.device, claim.energy_wh) for claim in closed.claims] == [(IDS[4], 500)]


def test_two_main_meters_of_a_site_are_netted():
    """The site's net counts, and its claim stands under the smallest device that was on time."""
    spans = [
        Span(IDS[2], T - 900, T, {1: 0, 2: 300}, T, 1),
        Span(IDS[3], T - 900, T, {1: 500}, T, 1),
        Span(IDS[0], T - 900, T, {1: 0, 2: 1000}, T, 1),
    ]
    closed = close(T, spans, meters=meters(), frozen=frozenset(), unallocated_wh={})
    assert [(claim.device, claim.energy_wh) for claim in closed.claims] == [(IDS[2], 200)]
    assert (closed.pool.supply_wh, closed.pool.demand_wh, closed.sites) == (1000, 200, 2)


def test_what_is_sold_elsewhere_earns_nothing():
    """Six tenths sold: four tenths of the roof's energy earn, four tenths of its supply may be a neighbour's."""
    roof = Meter(b"r" * 16, DeviceRole.PRODUCTION, b"s" * 16, b"sun", 9000, unsold_permille=400)
    sun = Meter(b"m" * 16, DeviceRole.MAIN, b"s" * 16, b"sun", 9000, unsold_permille=400)
    ana = Meter(b"a" * 16, DeviceRole.MAIN, b"t" * 16, b"ana", 9000)
    growths = {roof: {2: 1001}, sun: {1: 0, 2: 801}, ana: {1: 500, 2: 0}}
    spans = [Span(meter.device, 0, 900, growth, 900, 1) for meter, growth in growths.items()]
    meters = {meter.device: meter for meter in growths}
    closed = close(900, spans, meters=meters, frozen=frozenset(), unallocated_wh={})
    assert {claim.device: claim.energy_wh for claim in closed.claims} == {roof.device: 400, ana.device: 320}
    assert (closed.pool.supply_wh, closed.pool.unallocated_wh) == (320, 0)


def test_what_is_sold_elsewhere_earns_nothing_after_a_review():
    """A released span loses the sold part once; a released claim had lost it already."""
    roof = Meter(b"r" * 16, DeviceRole.PRODUCTION, b"s" * 16, b"sun", 9000, unsold_permille=400)
    held = [
        HeldSpan(roof.device, at, at + 900, reason, 1000, 1) for at, reason in ((0, Hold.FUTURE), (900, Hold.STUCK))
    ]
    closed = close(2700, [], meters={roof.device: roof}, frozen=frozenset(), unallocated_wh={}, released=held)
    assert [claim.energy_wh for claim in closed.claims] == [400, 1000]
