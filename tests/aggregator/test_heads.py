"""The memory of where chains stand agrees with a dictionary, whoever comes when; checking agrees in any process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import testing
from aggregator.commune.registry import Directory
from aggregator.intake.checking import Keys, check
from aggregator.intake.heads import NONE, Head, Heads
from aggregator.intake.workers import Checkers
from aggregator.testing import TIME_S
from commonwatt.refusal import Refusal

# Ids that share their first half are possible, if hardly ever met.
ids = st.one_of(
    st.binary(min_size=16, max_size=16), st.builds(lambda end: bytes(15) + bytes([end]), st.integers(0, 5))
)
heads = st.builds(Head, st.integers(0, 2**40), st.binary(min_size=16, max_size=16))


@given(st.dictionaries(ids, heads), st.lists(st.dictionaries(ids, heads), max_size=5))
def test_heads_when_they_advance(first: dict[bytes, Head], steps: list[dict[bytes, Head]]):
    """Known and new devices alike; a device without a block has no head."""
    kept = Heads((device, head.seq, head.link) for device, head in first.items())
    expected = dict(first)
    for step in steps:
        kept.advance(step)
        expected.update(step)
    everyone = [*expected, b"nobody's device!"]
    found = kept.of(everyone)
    assert {device: found[device] for device in expected} == expected
    assert found[b"nobody's device!"].seq == (
        expected[b"nobody's device!"].seq if b"nobody's device!" in expected else NONE
    )
    assert len(kept) == len(expected)


def test_heads_when_many_newcomers_are_sorted_in():
    """Thousands of devices that nobody knew at the start."""
    kept = Heads()
    everyone = {number.to_bytes(16, "little"): Head(number, bytes(16)) for number in range(3000)}
    for device, head in everyone.items():
        kept.advance({device: head})
    assert kept.of(list(everyone)) == everyone


@pytest.mark.parametrize("processes", [0, 2])
def test_checkers_when_blocks_are_good_and_bad(tmp_path, processes: int):
    """The same answers in the same order, here or in other processes."""
    with testing.quarter(tmp_path) as ledger:
        keys = Keys.of(Directory.of(ledger.state).snapshot.devices.values())
    meters = testing.meters()
    good = [meters[name].sign(TIME_S, [(0, 0), (5, 0)]) for name in ("ana-main", "ben-main", "sun-main")]
    blocks = [good[0], good[1][:-1] + bytes([good[1][-1] ^ 1]), b"\xff", good[2]]
    with Checkers(keys, processes) as checkers:
        answers = checkers.submit(blocks).result()
    assert answers == check(blocks, keys)
    assert answers[1:3] == [Refusal.BAD_SIGNATURE, Refusal.MALFORMED]
