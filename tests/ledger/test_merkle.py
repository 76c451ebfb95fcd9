"""The tree agrees with RFC 6962's reference, and its proofs with every tree up to a size that has all shapes."""

import json
from pathlib import Path

import pytest

from ledger.log import merkle
from ledger.log.tiles import TileTree

REFERENCE = Path(__file__).parents[1] / "vectors" / "rfc6962" / "reference-8-leaves.json"
LEAVES = [merkle.leaf_hash(str(number).encode()) for number in range(70)]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else merkle.EMPTY_ROOT
    k = merkle.split(len(leaves))
    return merkle.node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def test_roots_when_compared_to_the_reference() -> None:
    """The roots over the reference leaves are the published ones, by list, by frontier and by tiles."""
    reference = json.loads(REFERENCE.read_text())
    entries = [bytes.fromhex(leaf) for leaf in reference["leaves"]]
    frontier, tiles = merkle.Frontier(), TileTree()
    for size, root in enumerate(reference["roots_by_size"]):
        hashes = [merkle.leaf_hash(data) for data in entries[:size]]
        assert merkle.root(hashes) == frontier.root() == tiles.root() == bytes.fromhex(root)
        if size < len(entries):
            frontier.append(merkle.leaf_hash(entries[size]))
            tiles.append(entries[size], merkle.leaf_hash(entries[size]))


@pytest.mark.parametrize("size", range(len(LEAVES)))
def test_root_when_of_any_size(size: int) -> None:
    """The frontier's root is the recursive definition's."""
    assert merkle.root(LEAVES[:size]) == naive_root(LEAVES[:size])


@pytest.mark.parametrize("size", range(1, len(LEAVES)))
def test_inclusion_when_of_any_leaf(size: int) -> None:
    """Every leaf of every tree has a proof, and it proves no other place."""
    root = merkle.root(LEAVES[:size])
    for index in range(size):
        proof = merkle.prove(LEAVES, merkle.inclusion_ranges(index, size))
        assert merkle.is_included(LEAVES[index], index, size, proof, root)
        assert not merkle.is_included(LEAVES[index], index ^ 1, size, proof, root)


@pytest.mark.parametrize("new", range(1, len(LEAVES)))
def test_consistency_when_of_any_sizes(new: int) -> None:
    """Every tree proves that it grew out of every smaller one."""
    root = merkle.root(LEAVES[:new])
    for old in range(new + 1):
        proof = merkle.prove(LEAVES, merkle.consistency_ranges(old, new))
        assert merkle.is_consistent(old, new, proof, merkle.root(LEAVES[:old]), root)
        if 0 < old < new:
            assert not merkle.is_consistent(old, new, proof, merkle.root(LEAVES[1 : old + 1]), root)
