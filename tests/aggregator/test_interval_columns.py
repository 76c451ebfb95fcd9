"""Closing a commune at once gives exactly what the plain rule gives, span by span."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.numbers import Numbers
from aggregator.plausibility import spans as plausible_spans
from aggregator.settling import interval, interval_columns, matching, matching_columns
from aggregator.settling.interval import ON_TIME, Claim, HeldSpan, Meter, Source
from aggregator.settling.interval_columns import Commune
from aggregator.settling.meters import Meters
from aggregator.settling.settlement import Span
from aggregator.settling.settlement_columns import Spans
from commonwatt.page import UNKNOWN
from commonwatt.refusal import Hold
from commonwatt.units import INT64_MAX, INTERVAL_S
from ledger.book.kinds import DeviceRole, Grade

END_S = 10 * INTERVAL_S
DEVICES = [bytes([9 - number]) * 16 for number in range(8)]
"""Their numbers go the other way than their ids."""


class Known(Numbers):
    """Numbers that no database gave."""

    def __init__(self, names: list[bytes]) -> None:
        super().__init__()
        self._add(np.frombuffer(b"".join(names), dtype=np.uint8).reshape(-1, 16))


meter = st.tuples(
    st.sampled_from(DeviceRole), st.integers(0, 3), st.sampled_from([0, 1000, 9000, 2**32 - 1]),
    st.sampled_from([0, 333, 1000]),
)  # fmt: skip
growth = st.dictionaries(
    st.integers(1, 3), st.sampled_from([-(2**63) + 1, -1, 0, 1, 99, 100, 250, 251, 2250, 2251, 2252, INT64_MAX])
)
span = st.tuples(
    st.sampled_from([1, 1, 1, 2, 5]), st.sampled_from([0, 0, 0, 1, 3]), growth, st.sampled_from([0, 59, 60, 61]),
    st.booleans(),
)  # fmt: skip


def commune_of(meters: list[tuple], frozen: list[int]) -> Commune:
    """Meters as rows and in columns."""
    known = Known([*DEVICES, *(b"account" + bytes([site]) + bytes(8) for site in range(4))])
    rows = {
        device: Meter(
            *(device, role, bytes([site]), b"account" + bytes([site]) + bytes(8), rated),
            grade=Grade.DEVICE,
            unsold_permille=unsold,
        )
        for device, (role, site, rated, unsold) in zip(DEVICES, meters, strict=True)
    }

    def column(values):
        return np.array([*values, 0, 0, 0, 0], dtype=np.int64)

    columns = Meters(
        roles=column(int(row.role) for row in rows.values()),
        sites=column(row.site[0] for row in rows.values()),
        accounts=column(8 + row.site[0] for row in rows.values()),
        rated_power_w=column(row.rated_power_w for row in rows.values()),
        grades=column(int(row.grade) for row in rows.values()),
        unsold_permille=column(row.unsold_permille for row in rows.values()),
        ranks=known.ranks(),
    )
    return Commune(known, columns, rows, np.array(frozen, dtype=np.int64))


def columns_of(spans: list[Span]) -> Spans:
    """Spans in columns."""

    def column(values):
        return np.array(list(values), dtype=np.int64)

    return Spans(
        column(DEVICES.index(row.device) for row in spans),
        column(row.start_s for row in spans),
        column(row.end_s for row in spans),
        {q: column(row.growth_wh.get(q, UNKNOWN) for row in spans) for q in (1, 2, 3)},
        column(row.received_s for row in spans),
        column(row.evidence_id for row in spans),
        np.array([row.is_replaced for row in spans], dtype=np.bool_),
    )


def all_claims(closed: interval_columns.Closed, commune: Commune) -> list[Claim]:
    """Those on time too, as rows."""
    found = closed.on_time
    places = zip(commune.numbers.names(found.devices), found.sources.tolist(), strict=True)
    rest = zip(found.energy_wh.tolist(), commune.numbers.names(found.accounts), found.evidence_ids, strict=True)
    on_time = [
        Claim(device, END_S - INTERVAL_S, END_S, Source(source), ON_TIME, wh, account, int(evidence))
        for (device, source), (wh, account, evidence) in zip(places, rest, strict=True)
    ]
    return [*on_time, *closed.claims]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(meter, min_size=8, max_size=8),
    st.lists(span, max_size=8),
    st.lists(st.integers(0, 7), max_size=2),
    st.dictionaries(st.integers(3, 9), st.integers(0, 3000)),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3000), st.sampled_from(Hold)), max_size=2),
)
def test_columns_and_rule_agree_on_an_interval(meters, rows, frozen, left, released_rows):
    """Sites with several meters, gaps, late, held and released spans, ratings and registers up to their limits."""
    commune = commune_of(meters, frozen)
    spans = [
        Span(
            *(device, END_S - INTERVAL_S * (long + late), END_S - INTERVAL_S * late, growth_wh),
            *(END_S - INTERVAL_S * late - 60 + (60 - ahead), at, is_replaced),
        )
        for at, (device, (long, late, growth_wh, ahead, is_replaced)) in enumerate(zip(DEVICES, rows, strict=False))
    ]
    released = [
        HeldSpan(DEVICES[number], END_S - INTERVAL_S * (3 + at), END_S - INTERVAL_S * 2, reason, wh, 77)
        for at, (number, wh, reason) in enumerate(released_rows)
    ]
    before_wh = {INTERVAL_S * end: wh for end, wh in left.items()}
    plain = interval.close(
        *(END_S, spans),
        meters=commune.meters,
        frozen=frozenset(DEVICES[number] for number in frozen),
        unallocated_wh=before_wh,
        released=released,
    )
    found = interval_columns.close(
        *(END_S, columns_of(spans)), commune=commune, unallocated_wh=lambda _spans: before_wh, released=released
    )
    assert sorted(map(repr, all_claims(found, commune))) == sorted(map(repr, plain.claims))
    assert found.held == plain.held
    pool = (plain.pool.supply_wh, plain.pool.demand_wh, plain.pool.matched_wh)
    assert (found.pool.supply_wh, found.pool.demand_wh, found.pool.matched_wh) == pool
    assert {**before_wh, **found.left_wh} == {**before_wh, **plain.left_wh}
    for name in ("sites", "largest_supply_wh", "largest_demand_wh", "second_supply_wh", "second_demand_wh"):
        assert getattr(found, name) == getattr(plain, name)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 3, 99, 10**6, 2**40]), min_size=1, max_size=12), st.data())
def test_shares_are_those_of_the_largest_remainder(demands, data):
    """Many ties, and products beyond 63 bits."""
    total_wh = data.draw(st.integers(0, sum(demands)))
    ranks = data.draw(st.permutations(range(len(demands))))
    found = matching_columns.shares_wh(total_wh, np.array(demands), np.array(ranks))
    names = [bytes([rank]) for rank in ranks]
    expected = matching.largest_remainder(total_wh, dict(zip(names, demands, strict=True)))
    assert found.tolist() == [expected[name] for name in names]


def test_rating_of_the_longest_span():
    """A register of 63 bits over years by the largest rating stays exact."""
    assert plausible_spans.energy_wh_max(2**32 - 1, 2**40) == -(-(2**32 - 1) * 2**40 // 3600) + 1
