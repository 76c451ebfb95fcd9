"""Verdicts on one block, given what is held around it."""

import pytest

from aggregator.intake.chain import Link, Verdict, judge

OWN = b"b" * 32


@pytest.mark.parametrize(
    ("around", "verdict", "seq"),
    [
        ({}, Verdict.NEW, 1),
        ({"before": b"a" * 16}, Verdict.NEW, 1),
        ({"after": Link(b"c" * 32, OWN[:16])}, Verdict.NEW, 1),
        ({"same": Link(OWN, b"a" * 16)}, Verdict.DUPLICATE, 1),
        ({"same": Link(b"x" * 32, b"a" * 16), "before": b"a" * 16}, Verdict.CONFLICT, 1),
        ({"before": b"x" * 16}, Verdict.CONFLICT, 0),
        ({"after": Link(b"c" * 32, b"x" * 16)}, Verdict.CONFLICT, 2),
    ],
)
def test_a_block_is_judged_by_its_neighbours(around, verdict, seq):
    """New, the same again, or a second history; a conflict names the block that it contradicts."""
    held = {"same": None, "before": None, "after": None, **around}
    assert judge(1, b"a" * 16, OWN, **held) == (verdict, seq)


def test_the_first_block_has_zeros_before_it():
    """Anything else is a history whose beginning is hidden."""
    assert judge(0, b"a" * 16, OWN, same=None, before=None, after=None) == (Verdict.CONFLICT, 0)
