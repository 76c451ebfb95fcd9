"""The RFC 6962 Merkle tree: roots, inclusion and consistency proofs, and their verification.

Hashes are 32 bytes. Leaf: SHA-256(0x00 ‖ entry). Node: SHA-256(0x01 ‖ left ‖ right). The empty tree is SHA-256("").
Which subtrees a proof is made of is decided on places alone (`…_ranges`); whoever holds the hashes, a list in
memory or tiles on a disk, fills them in.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Range = tuple[int, int]
"""The leaves from the first place up to, not including, the second."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry (RFC 6962 §2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """The hash of each of many entries."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def slot_hashes(entries: Sequence[bytes], told: Sequence[bytes]) -> list[bytes]:
    """The leaf hashes of entries; of one that was erased, and is empty, the hash that is told of it."""
    if all(entries):
        return leaf_hashes(entries)
    return [leaf_hash(entry) if entry else other for entry, other in zip(entries, told, strict=True)]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows and keeps one hash per set bit of its size."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # perfect subtrees, the largest first

    def append(self, leaf: bytes) -> None:
        """Add a leaf's hash."""
        size = self.size
        while size & 1:  # one merge per trailing one of the old size
            leaf = node_hash(self._peaks.pop(), leaf)
            size >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves."""
        return fold(self._peaks)


def fold(peaks: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees of falling size."""
    if not peaks:
        return EMPTY_ROOT
    result = peaks[-1]
    for peak in reversed(peaks[:-1]):
        result = node_hash(peak, result)
    return result


def peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """The perfect subtrees, largest first, over hashes of subtrees of one size."""
    frontier = Frontier()
    for item in hashes:
        frontier.append(item)
    return frontier._peaks


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, level by level: a node without a sibling moves up as it is, as in the RFC's tree."""
    sha256 = hashlib.sha256
    level = list(leaves)
    while len(level) > 1:
        odd = [level.pop()] if len(level) % 2 else []
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
        level += odd
    return level[0] if level else EMPTY_ROOT


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes: what a full tile becomes in the level above."""
    assert len(hashes).bit_count() == 1
    return root(hashes)


def split(size: int) -> int:
    """The largest power of two below `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose roots prove leaf `index` in a tree of `size`, the leaf's sibling first (RFC 6962 §2.1.1)."""
    assert 0 <= index < size
    start, end = 0, size
    ranges: list[Range] = []
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The subtrees whose roots prove that the tree of `new` extends the one of `old` (RFC 6962 §2.1.2).

    Empty when the sizes are equal, or when `old` is 0: every tree extends the empty one.
    """
    assert 0 <= old <= new
    if old in (0, new):
        return []
    start, end = 0, new
    is_known = True  # whether the verifier has this subtree's root already: it is the whole old tree
    ranges: list[Range] = []
    while old != end:
        middle = start + split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
            is_known = False
    if not is_known:
        ranges.append((start, end))
    return ranges[::-1]


def prove(leaves: Sequence[bytes], ranges: Sequence[Range]) -> list[bytes]:
    """The hashes of a proof from all leaf hashes in memory."""
    return prove_by(lambda span: root(leaves[span[0] : span[1]]), ranges)


def prove_by(subtree: Callable[[Range], bytes], ranges: Sequence[Range]) -> list[bytes]:
    """The hashes of a proof from whatever can answer for a subtree."""
    return [subtree(span) for span in ranges]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> bool:
    """Whether the proof shows `leaf` at `index` in the tree of `size` with this root (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    result = leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == expected_root


def is_consistent(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the proof shows that the tree of `new` extends the tree of `old` (RFC 9162 §2.1.4.2).

    From size 0 an empty proof is accepted when the old root is the empty tree's (as C2SP witnesses do).
    """
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    if not proof:
        return False
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root
