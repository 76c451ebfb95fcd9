"""Readings to spans: every watt-hour in exactly one, whatever the order."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.settling.settlement import Reading, settle

DEVICE = b"d" * 16


def reading(index: int, seq: int, registers_wh: dict[int, int]) -> Reading:
    return Reading(DEVICE, 900 * index, seq, registers_wh, 0, index)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Reading], list[int]]:
    """Readings of two registers at some times, in any order, and cuts at which they become known."""
    times = draw(st.lists(st.integers(0, 40), unique=True, max_size=20))
    readings = [
        reading(index, 0, {1: draw(st.integers(0, 10**6)), 2: draw(st.integers(0, 10**6))}) for index in times
    ]
    cuts = draw(st.lists(st.integers(0, len(readings)), max_size=4))
    return readings, sorted(cuts)


@given(histories())
def test_every_watt_hour_lies_in_exactly_one_span(history):
    """Spans join without overlap from the first settled reading to the last; their growths sum to the difference."""
    readings, cuts = history
    settled, spans = None, []
    for start, end in zip([0, *cuts], [*cuts, len(readings)], strict=True):
        settled, new = settle(settled, readings[start:end])
        spans += new
    if settled is None:
        assert spans == []
        return
    assert [span.start_s for span in spans] == [settled.first_time_s, *(span.end_s for span in spans)][: len(spans)]
    for quantity in (1, 2):
        total_wh = sum(span.growth_wh[quantity] for span in spans)
        assert total_wh == settled.registers_wh[quantity] - settled.first_wh[quantity]


@given(history=histories(), seed=st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(history, seed):
    """What is known at once gives the same spans in any order and number of copies."""
    readings, _ = history
    again = readings + readings
    seed.shuffle(again)
    assert settle(None, again) == settle(None, readings)


def test_of_two_readings_of_one_time_the_smaller_seq_counts():
    """The later block's jump belongs to the span after it."""
    readings = [reading(0, 0, {1: 0}), reading(1, 1, {1: 70}), reading(1, 0, {1: 50}), reading(2, 1, {1: 90})]
    _, spans = settle(None, readings)
    assert [span.growth_wh[1] for span in spans] == [50, 40]


def test_a_register_that_a_reading_lacks_keeps_its_value():
    """Its growth appears when it is read again; one that is new begins there."""
    readings = [reading(0, 0, {1: 10}), reading(1, 0, {2: 5}), reading(2, 0, {1: 30, 2: 6})]
    settled, spans = settle(None, readings)
    assert [dict(span.growth_wh) for span in spans] == [{}, {1: 20, 2: 1}]
    assert settled is not None
    assert settled.first_wh == {1: 10, 2: 5}


def test_readings_before_the_last_settled_one_change_nothing():
    """Their energy is in a span already."""
    settled, _ = settle(None, [reading(5, 0, {1: 10})])
    assert settle(settled, [reading(4, 9, {1: 9}), reading(5, 1, {1: 99})]) == (settled, [])
