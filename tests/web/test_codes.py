"""How codes and amounts are read: in both languages, tolerantly where one meaning is left, never by guessing."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.pay.spelling import (
    ALPHABET,
    Unclear,
    meanings,
    new_code,
    read_amount,
    read_code,
    show_code,
    spell_code,
)

AMOUNTS = Path(__file__).with_name("amounts.csv")


def amounts() -> list[tuple[str, str]]:
    with AMOUNTS.open() as file:
        return [(row["text"], row["meaning"]) for row in csv.DictReader(file)]


def codes() -> st.SearchStrategy[str]:
    values = st.integers(0, 2**35 - 1).filter(lambda value: value % 37 < 32)
    return values.map(spell_code)


@pytest.mark.parametrize(("text", "meaning"), amounts())
def test_amount_in_both_languages(text: str, meaning: str) -> None:
    """The same table is read in the browser (test_pay.py)."""
    expected = int(meaning) if meaning.isdigit() else Unclear(meaning)
    assert read_amount(text) == expected


def test_ambiguous_amount_when_asked() -> None:
    """Both readings are offered, each in a spelling that has one meaning."""
    assert meanings("1.250") == ("1.25", "1250")
    assert meanings(" 12,000 ") == ("12", "12000")
    assert [read_amount(text) for text in meanings("1.250")] == [1250, 1250000]


@given(st.integers(1, 10**12), st.sampled_from(".,"))
def test_amount_as_it_is_written(amount_mc: int, sign: str) -> None:
    """A whole number, or one with one or two decimals, is what it says."""
    hundredths_mc = amount_mc - amount_mc % 10 or 10
    text = f"{hundredths_mc // 1000}{sign}{hundredths_mc % 1000 // 10:02d}"
    assert read_amount(text) == hundredths_mc


def test_code_when_made() -> None:
    """Letters and digits that nobody takes for others, in two groups."""
    code = new_code()
    assert len(code) == 8
    assert not set(code) & set("ILOU")
    assert set(code) <= set(ALPHABET)
    assert read_code(show_code(code)) == code


def test_code_when_it_is_known() -> None:
    """The value 1 000 000, by hand: 1000000 = 0·32⁶ + 0·32⁵ + 0·32⁴ + 30·32³ + 16·32² + 18·32 + 0; modulo 37 is 1."""
    assert spell_code(1_000_000) == "000YGJ01"
    assert read_code("ooo-ygj o i") == "000YGJ01"
    assert read_code("000YGJ0L") == "000YGJ01"


@given(codes(), st.integers(0, 7), st.sampled_from(ALPHABET))
def test_code_with_a_wrong_symbol(code: str, at: int, symbol: str) -> None:
    """One slip is never another code."""
    other = code[:at] + symbol + code[at + 1 :]
    assert read_code(other) == (code if other == code else None)


@given(codes(), st.integers(0, 6))
def test_code_with_two_symbols_exchanged(code: str, at: int) -> None:
    """Nor are two neighbours that changed places."""
    other = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert read_code(other) == (code if other == code else None)


@pytest.mark.parametrize("text", ["", "ABC", "UUUUUUUU", "000YGJ011", "<script>", "000YGJ0*", "０００YGJ01"])
def test_text_that_is_no_code(text: str) -> None:
    """It is none."""
    assert read_code(text) is None
