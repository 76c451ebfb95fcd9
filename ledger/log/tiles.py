"""C2SP tlog-tiles (https://c2sp.org/tlog-tiles, v0.1.0): how a tree is cut into files that never change.

A tile of level L holds up to 256 hashes of perfect subtrees of 256^L leaves; a bundle holds the entries under one
tile of level 0. Full ones are `tile/0/x001/234`, unfinished ones `tile/0/x001/234.p/17`. Pure: paths and bytes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ledger.book.entry import SIZE_MAX
from ledger.book.fields import require
from ledger.log import merkle

WIDTH = 256
LEVEL_MAX = 63
ENTRIES = -1
"""The level by which bundles are named here; their path says "entries"."""

CHECKPOINT = "checkpoint"
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class TileName:
    """Which file: its level (ENTRIES for a bundle), its place in the level, and how many hashes or entries."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it is below the log's directory."""
        digits = f"{self.index:03d}"
        digits = "0" * (-len(digits) % 3) + digits
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        place = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{'entries' if self.level == ENTRIES else self.level}/{place}{partial}"

    @property
    def first(self) -> int:
        """The place of its first hash in its level, or of its first entry."""
        return self.index * WIDTH


def parse_path(path: str) -> TileName | None:
    """The name that a path spells, if it is the one spelling of a name."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    level = ENTRIES if match["level"] == "entries" else int(match["level"])
    name = TileName(level, int(match["index"].replace("x", "").replace("/", "")), int(match["width"] or WIDTH))
    return name if name.path == path and level <= LEVEL_MAX else None


def names(size: int) -> Iterator[TileName]:
    """Every tile that a tree of `size` consists of, in its widest form, and every bundle."""
    for level in (ENTRIES, *range(LEVEL_MAX + 1)):
        count = size // WIDTH ** max(level, 0)
        full, rest = divmod(count, WIDTH)
        yield from (TileName(level, index) for index in range(full))
        if rest:
            yield TileName(level, full, rest)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """A bundle: each entry after its length in two bytes, big-endian."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; FormatError "malformed"."""
    entries: list[bytes] = []
    start, end = 0, len(data)
    # Read for every leaf of a log: no call in here that a leaf does not need.
    while start + 1 < end:
        after = start + 2 + (data[start] << 8) + data[start + 1]
        entries.append(data[start + 2 : after])
        start = after
    require(start == end, f"the bundle ends inside entry {len(entries) - (start > end)}")
    return entries


def parse_tile(data: bytes) -> list[bytes]:
    """The hashes of a tile; FormatError "malformed"."""
    require(len(data) % merkle.HASH_SIZE == 0, "the tile ends inside a hash")
    return [data[i : i + merkle.HASH_SIZE] for i in range(0, len(data), merkle.HASH_SIZE)]


@dataclass(slots=True)
class TileTree:
    """A growing tree as tiles: keeps only the unfinished tile of each level and what nobody has taken yet.

    `finished`: full tiles since the last `take`. `hashes[L]`: the hashes of level L's unfinished tile.
    `bundle`: the unfinished bundle, in parts.
    """

    size: int = 0
    hashes: list[list[bytes]] = field(default_factory=lambda: [[]])
    bundle: list[bytes] = field(default_factory=list)
    finished: dict[TileName, bytes] = field(default_factory=dict)

    def append(self, entry: bytes, leaf_hash: bytes) -> None:
        """Add an entry and its leaf hash."""
        assert len(entry) <= SIZE_MAX
        self.extend(encode_bundle([entry]), [leaf_hash])

    def extend(self, part: bytes, leaf_hashes: Sequence[bytes]) -> None:
        """Add entries, framed as in a bundle, and their leaf hashes; all of them under one tile of level 0."""
        self.size += len(leaf_hashes)
        self.bundle.append(part)
        row = self.hashes[0]
        row += leaf_hashes
        assert len(row) <= WIDTH
        if len(row) == WIDTH:
            self.finished[TileName(ENTRIES, self.size // WIDTH - 1)] = b"".join(self.bundle)
            self.bundle = []
            self._finish(0)

    def _finish(self, level: int) -> None:
        """Put the full tile of a level away, and its root into the level above."""
        row = self.hashes[level]
        self.finished[TileName(level, self.size // WIDTH ** (level + 1) - 1)] = b"".join(row)
        self.hashes[level] = []
        if level + 1 == len(self.hashes):
            self.hashes.append([])
        above = self.hashes[level + 1]
        above.append(merkle.perfect_root(row))
        if len(above) == WIDTH:
            self._finish(level + 1)

    def root(self) -> bytes:
        """The RFC 6962 root: the perfect subtrees of every unfinished tile, the highest level first."""
        return merkle.fold([peak for row in reversed(self.hashes) for peak in merkle.peaks(row)])

    def take_finished(self) -> dict[TileName, bytes]:
        """Full tiles and bundles since the last call."""
        taken, self.finished = self.finished, {}
        return taken

    def partials(self) -> dict[TileName, bytes]:
        """The unfinished tiles and bundle of the present size."""
        files: dict[TileName, bytes] = {}
        if self.bundle:
            files[TileName(ENTRIES, self.size // WIDTH, self.size % WIDTH)] = b"".join(self.bundle)
        for level, row in enumerate(self.hashes):
            if row:
                files[TileName(level, self.size // WIDTH ** (level + 1), len(row))] = b"".join(row)
        return files
