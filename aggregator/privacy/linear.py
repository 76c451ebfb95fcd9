"""Whether totals over sets of sites can be added and subtracted until only a few sites are left. Pure.

Every combination of totals weighs each site by a number; sites that are in exactly the same sets (an *atom*) always
weigh the same. Some combination is zero everywhere but on a group of atoms, and not zero there, exactly if without
those atoms the sets have fewer independent ones among them: if the rank of the 0/1 matrix of sets and atoms drops. So
every largest group of atoms with fewer sites than the limit is taken away once, and the rank compared (the linear
audit of statistical databases: Chin and Özsoyoglu 1982).
"""

from collections import Counter
from collections.abc import Iterator, Sequence

Atom = tuple[int, ...]
"""One column of the matrix: for each set whether these sites are in it, 1 or 0."""

_PRIME = 2**127 - 1
"""Ranks are computed modulo it. By Hadamard's bound no minor of a 0/1 matrix of up to SETS_MAX rows reaches it, so
the rank is that over the rational numbers."""

SETS_MAX = 60
GROUPS_MAX = 1_000
"""Beyond these the answer is yes without looking: a figure too few is better than one home too many."""


def leaves_few(sets: Sequence[frozenset[bytes]], least: int) -> bool:
    """Whether some combination of totals over these sets stands for 1 to `least` − 1 sites."""
    distinct = list(dict.fromkeys(row for row in sets if row))
    sizes = Counter(tuple(int(site in row) for row in distinct) for site in frozenset().union(*distinct))
    if all(size >= least for size in sizes.values()):
        return False
    if len(distinct) > SETS_MAX:
        return True
    full = _rank(list(sizes))
    for number, group in enumerate(_groups([atom for atom in sizes if sizes[atom] < least], sizes, least)):
        if number == GROUPS_MAX or _rank([atom for atom in sizes if atom not in group]) < full:
            return True
    return False


def _groups(small: Sequence[Atom], sizes: Counter[Atom], least: int) -> Iterator[frozenset[Atom]]:
    """Groups of small atoms with fewer than `least` sites that no further atom fits into, each once."""
    ordered = sorted(small, key=lambda atom: (sizes[atom], atom))

    def grow(first: int, taken: tuple[Atom, ...], room: int, skipped: int) -> Iterator[frozenset[Atom]]:
        """`skipped`: the smallest atom that was left out on the way; it must not fit in the end."""
        if first == len(ordered) or sizes[ordered[first]] > room:
            if skipped > room:
                yield frozenset(taken)
            return
        size = sizes[ordered[first]]
        yield from grow(first + 1, (*taken, ordered[first]), room - size, skipped)
        yield from grow(first + 1, taken, room, min(skipped, size))

    yield from grow(0, (), least - 1, least)


def _rank(columns: Sequence[Atom]) -> int:
    """The rank of the matrix with these columns."""
    basis: dict[int, list[int]] = {}
    for column in columns:
        rest = list(column)
        for pivot, row in basis.items():
            if rest[pivot]:
                factor = rest[pivot]
                rest = [(value - factor * other) % _PRIME for value, other in zip(rest, row, strict=True)]
        pivot = next((index for index, value in enumerate(rest) if value), -1)
        if pivot >= 0:
            inverse = pow(rest[pivot], -1, _PRIME)
            basis[pivot] = [value * inverse % _PRIME for value in rest]
    return len(basis)
