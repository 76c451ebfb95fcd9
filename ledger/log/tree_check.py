"""Checks tiles and bundles of a published log against each other and against the root in its checkpoint.

Works upwards in groups of 256 and keeps one hash per group. Where a tile and a bundle disagree, the level above
(or the root, for the last group) tells which of the two was changed, so that the right file is named.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from commonwatt.errors import FormatError
from ledger.log import merkle, tiles
from ledger.log.checkpoint import Checkpoint
from ledger.log.merkle import HASH_SIZE
from ledger.log.published import PublishedLog
from ledger.log.tiles import CHECKPOINT, ENTRIES, WIDTH, TileName


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: in which file, where in it, and what."""

    file: str
    place: str
    what: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.file, self.place) if part)
        return f"{where}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Group:
    """The leaves under one level-0 tile as the two files tell them; None where a file tells nothing."""

    index: int
    width: int
    hashes: list[bytes] | None
    entries: list[bytes] | None

    def leaves(self) -> list[bytes] | None:
        """The leaf hashes of the bundle's entries; of those that were erased only the tile can tell."""
        if self.entries is None or (self.hashes is None and not all(self.entries)):
            return None
        return merkle.slot_hashes(self.entries, self.hashes or self.entries)


@dataclass(frozen=True, slots=True)
class Checked:
    """Entries that hash to what the tree holds, and those hashes."""

    entries: list[bytes]
    leaf_hashes: list[bytes]


def joined(groups: Iterable[Checked]) -> Checked:
    """Consecutive groups as one."""
    entries: list[bytes] = []
    leaf_hashes: list[bytes] = []
    for group in groups:
        entries += group.entries
        leaf_hashes += group.leaf_hashes
    return Checked(entries, leaf_hashes)


class TreeCheck:
    """One pass over a published log. `problems` are complete when `groups` has ended.

    `names`: every tile and bundle in the directory. Bundles may be missing altogether unless `needs_entries`.
    """

    def __init__(
        self, files: PublishedLog, head: Checkpoint, names: Sequence[TileName], *, needs_entries: bool
    ) -> None:
        self.problems: list[Problem] = []
        self._files = files
        self._head = head
        self._has_entries = needs_entries or any(name.level == ENTRIES for name in names)
        self._partials: dict[tuple[int, int], list[TileName]] = defaultdict(list)
        for name in names:
            if name.width < WIDTH:
                self._partials[name.level, name.index].append(name)

    def groups(self) -> Iterator["Checked | None"]:
        """The entries in groups of 256, each as soon as it is checked; None where none can be trusted or read.

        The last, unfinished group is handed out after the root has been checked.
        """
        stored = self._stored_level(1)
        computed: list[bytes] = []
        last: _Group | None = None
        for index in range((self._head.size + WIDTH - 1) // WIDTH):
            group = self._read_group(index)
            if group.width < WIDTH:
                last = group
                break
            parent = stored[index] if index < len(stored) else None
            leaves, entries = self._settle(group, [parent] if parent else [])
            computed.append(merkle.perfect_root(leaves) if leaves else parent or bytes(HASH_SIZE))
            yield Checked(entries, leaves) if entries is not None and leaves is not None else None
        peaks = self._check_levels(stored, computed)
        if last is not None:
            yield self._check_last(last, peaks)
        elif merkle.fold(peaks) != self._head.root:
            self._root_differs()

    def _read_group(self, index: int) -> _Group:
        width = min(WIDTH, self._head.size - index * WIDTH)
        hashes = self._read_tile(TileName(0, index, width))
        entries = self._read_bundle(TileName(ENTRIES, index, width)) if self._has_entries else None
        return _Group(index, width, hashes, entries)

    def _settle(self, group: _Group, parents: Sequence[bytes]) -> tuple[list[bytes] | None, list[bytes] | None]:
        """The leaf hashes to go on with, and the entries if they are those. Names what disagrees."""
        hashes, entries = self._agree(group, parents)
        if hashes is not None:
            self._check_partials(TileName(0, group.index, group.width), hashes)
        if entries is not None and (ENTRIES, group.index) in self._partials:
            self._check_partial_bundles(TileName(ENTRIES, group.index, group.width), entries, hashes or [])
        return hashes, entries

    def _agree(self, group: _Group, parents: Sequence[bytes]) -> tuple[list[bytes] | None, list[bytes] | None]:
        leaves = group.leaves()
        if leaves is None or group.hashes is None or leaves == group.hashes:
            return leaves or group.hashes, group.entries
        is_tile_right = merkle.root(group.hashes) in parents
        if not is_tile_right:
            self._differ(TileName(0, group.index, group.width), group.hashes, leaves)
        if is_tile_right or merkle.root(leaves) not in parents:
            self._differ_entries(group, leaves)
        return (group.hashes, None) if is_tile_right else (leaves, group.entries)

    def _check_last(self, group: _Group, peaks: Sequence[bytes]) -> Checked | None:
        """Settle the unfinished group by the root itself."""
        candidates = [rows for rows in (group.hashes, group.leaves()) if rows is not None]
        right = [rows for rows in candidates if merkle.fold([*peaks, *merkle.peaks(rows)]) == self._head.root]
        if candidates and not right:
            self._root_differs()
        leaves, entries = self._settle(group, [merkle.root(rows) for rows in right])
        return Checked(entries, leaves) if entries is not None and leaves is not None else None

    def _check_levels(self, stored: list[bytes | None], computed: list[bytes]) -> list[bytes]:
        """Compare every level above the leaves with the one below; the perfect subtrees, largest first."""
        peaks_by_level: list[list[bytes]] = []
        level = 1
        while computed:
            self._compare_level(level, stored, computed)
            whole = len(computed) - len(computed) % WIDTH
            peaks_by_level.append(merkle.peaks(computed[whole:]))
            computed = [merkle.perfect_root(computed[i : i + WIDTH]) for i in range(0, whole, WIDTH)]
            level += 1
            stored = self._stored_level(level)
        return [peak for row in reversed(peaks_by_level) for peak in row]

    def _compare_level(self, level: int, stored: list[bytes | None], computed: list[bytes]) -> None:
        for first in range(0, len(computed), WIDTH):
            hashes = computed[first : first + WIDTH]
            name = TileName(level, first // WIDTH, len(hashes))
            for place, (told, found) in enumerate(zip(stored[first : first + WIDTH], hashes, strict=True)):
                if told is not None and told != found:
                    self._add(name.path, f"hash {place}", "is not the hash of the tile below it")
            self._check_partials(name, hashes)

    def _stored_level(self, level: int) -> list[bytes | None]:
        """All hashes that the tiles of a level hold; None for those of a tile that cannot be read."""
        count = self._head.size // WIDTH**level
        hashes: list[bytes | None] = []
        for first in range(0, count, WIDTH):
            width = min(WIDTH, count - first)
            rows = self._read_tile(TileName(level, first // WIDTH, width))
            hashes += rows if rows is not None else [None] * width
        return hashes

    def _read_tile(self, name: TileName) -> list[bytes] | None:
        try:
            return self._files.tile(name)
        except FormatError as error:
            self._add(name.path, "", str(error))
            return None

    def _read_bundle(self, name: TileName) -> list[bytes] | None:
        try:
            return self._files.bundle(name)
        except FormatError as error:
            self._add(name.path, "", str(error))
            return None

    def _check_partials(self, whole: TileName, parts: Sequence[bytes]) -> None:
        """Growth: what was published for an earlier size is the beginning of what stands there now."""
        for name in self._partials.get((whole.level, whole.index), ()):
            if name.width == whole.width:
                continue
            expected = b"".join(parts[: name.width])
            try:
                found = self._files.read(name.path, size_max=len(expected))
            except FormatError as error:
                self._add(name.path, "", str(error))
                continue
            if found != expected:
                at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
                self._add(name.path, f"byte {at}", f"is not the beginning of {whole.path}")

    def _check_partial_bundles(self, whole: TileName, entries: list[bytes], hashes: list[bytes]) -> None:
        """The same of bundles; where entries were erased since, an earlier copy may still have them."""
        if all(entries):
            self._check_partials(whole, [tiles.encode_bundle([data]) for data in entries])
            return
        for name in self._partials[whole.level, whole.index]:
            told = hashes[: name.width]
            try:
                found = self._files.bundle(name)
            except FormatError as error:
                self._add(name.path, "", str(error))
                continue
            for place, (one, other) in enumerate(zip(merkle.slot_hashes(found, told), told, strict=True)):
                if one != other:
                    self._add(name.path, f"entry {name.first + place}", "does not hash to what the tree holds")

    def _differ(self, name: TileName, told: Sequence[bytes], found: Sequence[bytes]) -> None:
        for place, (one, other) in enumerate(zip(told, found, strict=True)):
            if one != other:
                self._add(name.path, f"hash {place}", f"is not the hash of entry {name.first + place}")

    def _differ_entries(self, group: _Group, leaves: Sequence[bytes]) -> None:
        assert group.hashes is not None
        path = TileName(ENTRIES, group.index, group.width).path
        for place, (one, other) in enumerate(zip(group.hashes, leaves, strict=True)):
            if one != other:
                self._add(path, f"entry {group.index * WIDTH + place}", "does not hash to what the tree holds")

    def _root_differs(self) -> None:
        self._add(CHECKPOINT, "root", "is not the root of the tiles")

    def _add(self, file: str, place: str, what: str) -> None:
        self.problems.append(Problem(file, place, what))
