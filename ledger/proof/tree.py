"""Hashes of subtrees, read from the tiles of a published log: what every proof and every resumed check is made of."""

from collections.abc import Callable
from functools import lru_cache

from ledger.log import merkle, tiles
from ledger.log.merkle import Range
from ledger.log.tiles import WIDTH, TileName, TileTree

_WIDTH_BITS = 8
TILES_KEPT = 1024
"""Tiles kept in memory (8 KiB each): neighbours' proofs share most of them."""

ReadTile = Callable[[TileName], list[bytes]]


class PublishedTree:
    """The tree of `size` behind a reader of tiles, which raises FormatError for a tile that is missing or short.

    Nothing is believed: who proves with these hashes checks the proof against a signed root.
    """

    def __init__(self, read_tile: ReadTile, size: int) -> None:
        self.size = size
        self._read = lru_cache(maxsize=TILES_KEPT)(read_tile)

    def subtree(self, span: Range) -> bytes:
        """The root over the leaves of a span that a proof asks for, as merkle.py cuts them."""
        start, end = span
        assert 0 <= start < end <= self.size
        hashes = []
        while start < end:
            height = (end - start).bit_length() - 1
            hashes.append(self._perfect(start, height))
            start += 1 << height
        return merkle.fold(hashes)

    def root(self, size: int | None = None) -> bytes:
        """The root over the first leaves, all by default."""
        size = self.size if size is None else size
        return self.subtree((0, size)) if size else merkle.EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The proof that an entry is in the tree of `size`, all of it by default, the leaf's sibling first."""
        return merkle.prove_by(self.subtree, merkle.inclusion_ranges(index, size or self.size))

    def consistency(self, old: int) -> list[bytes]:
        """The proof that the tree extends its own first `old` leaves."""
        return merkle.prove_by(self.subtree, merkle.consistency_ranges(old, self.size))

    def leaf_hash(self, index: int) -> bytes:
        """The hash of one entry."""
        return self.subtree((index, index + 1))

    def at(self, size: int, entries: list[bytes]) -> TileTree:
        """A tree that goes on growing from `size`. `entries`: those of its unfinished bundle."""
        assert size <= self.size
        assert len(entries) == size % WIDTH
        rows = [self._unfinished(level, size) for level in range(_levels(size))]
        return TileTree(size, rows, [tiles.encode_bundle(entries)] if entries else [])

    def _unfinished(self, level: int, size: int) -> list[bytes]:
        count = size >> (_WIDTH_BITS * level)
        first = count - count % WIDTH
        return [] if first == count else self._tile(level, first // WIDTH)[: count - first]

    def _perfect(self, start: int, height: int) -> bytes:
        """The root of 2^height leaves; they lie in one tile of level height // 8."""
        level, rest = divmod(height, _WIDTH_BITS)
        first = start >> (_WIDTH_BITS * level)
        place = first % WIDTH
        return merkle.perfect_root(self._tile(level, first // WIDTH)[place : place + (1 << rest)])

    def _tile(self, level: int, index: int) -> list[bytes]:
        count = self.size >> (_WIDTH_BITS * level)
        return self._read(TileName(level, index, min(WIDTH, count - index * WIDTH)))


def _levels(size: int) -> int:
    """How many levels have hashes; one at least."""
    return max(1, (size.bit_length() + _WIDTH_BITS - 1) // _WIDTH_BITS)
