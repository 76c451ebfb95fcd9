"""Amounts as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.units import format_credits, interval_start_s, parse_credits


@given(st.integers(0, 10**14))
def test_credits_when_written_and_read(amount_mc: int) -> None:
    """What is shown can be typed again, with a point or a comma."""
    assert parse_credits(format_credits(amount_mc)) == amount_mc
    assert parse_credits(format_credits(amount_mc).replace(".", ",")) == amount_mc


@pytest.mark.parametrize(("text", "amount_mc"), [("1", 1000), ("1.5", 1500), ("0,05", 50), (" 2 ", 2000)])
def test_credits_when_typed_short(text: str, amount_mc: int) -> None:
    """Decimals may be left out."""
    assert parse_credits(text) == amount_mc


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.2345", "1e3", "one", "1.", ".5", "١"])
def test_credits_when_not_an_amount(text: str) -> None:
    """Signs, a fourth decimal and words are refused."""
    with pytest.raises(ValueError, match="not an amount"):
        parse_credits(text)


def test_credits_when_negative() -> None:
    """A debt is shown with its sign before the whole part."""
    assert format_credits(-50) == "-0.050"


def test_interval_when_between_two() -> None:
    """An interval begins at a multiple of 900 s."""
    assert interval_start_s(1_721_001_600 + 899) == 1_721_001_600
