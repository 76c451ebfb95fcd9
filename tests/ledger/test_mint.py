"""Leaves built from values are held to the same form as leaves read from bytes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commonwatt.errors import FormatError
from ledger import testing
from ledger.book import mint
from ledger.book.refusals import Refusal
from ledger.log import merkle
from ledger.sequencer import Placed, Refused

LEAF = testing.earned("ana", 900, 100)

WRONG: list[tuple[str, Any]] = [
    ("nonce", bytes(15)),
    ("nonce", "sixteen letters!"),
    ("account", bytes(17)),
    ("source", 0),
    ("source", 7),
    ("source", True),
    ("window_start_s", -1),
    ("window_start_s", LEAF.window_end_s),
    ("window_end_s", LEAF.window_start_s),
    ("window_end_s", 2**63),
    ("energy_wh", -1),
    ("energy_wh", 1.0),
    ("amount_mc", 2**63),
    ("amount_mc", -1),
    ("association_mc", None),
    ("lines", 2**64),
    ("lines_root", bytes(31)),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_leaf_when_a_field_is_wrong(tmp_path: Path, field: str, value: Any) -> None:
    """What `parse` would not read is not well formed, and a run with it is refused by the leaf's index."""
    wrong = replace(LEAF, **{field: value})
    assert not wrong.is_well_formed
    with pytest.raises(FormatError):
        mint.parse(wrong.encode())
    with testing.village(tmp_path, "ana") as ledger:
        digest = ledger.state.digest()
        assert testing.mint(ledger, [LEAF, wrong]) == Refused(Refusal.MALFORMED, leaf=1)
        assert ledger.state.digest() == digest


@pytest.mark.parametrize("amount_mc", [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1])
def test_leaf_when_well_formed(amount_mc: int) -> None:
    """What is well formed is read back as the same leaf, at every width of an integer."""
    leaf = replace(LEAF, amount_mc=amount_mc)
    assert leaf.is_well_formed
    assert mint.parse(leaf.encode()) == leaf


def test_root_when_made_level_by_level() -> None:
    """The root over a list is the root of a tree grown one leaf at a time, at every size."""
    hashes = [merkle.leaf_hash(bytes([number])) for number in range(70)]
    grown = merkle.Frontier()
    for size, leaf in enumerate(hashes):
        assert merkle.root(hashes[:size]) == grown.root()
        grown.append(leaf)


def test_run_when_larger_than_a_tile(tmp_path: Path) -> None:
    """A run of several tiles is stored leaf by leaf as encoded, before its run."""
    names = [f"member {number}" for number in range(600)]
    leaves = [testing.earned(name, 10) for name in names]
    with testing.village(tmp_path, *names) as ledger:
        first = ledger.size
        assert testing.mint(ledger, leaves) == Placed(first + 600)
        assert [ledger.entry(first + index) for index in range(600)] == [leaf.encode() for leaf in leaves]
