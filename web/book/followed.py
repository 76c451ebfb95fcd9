"""A followed log as a book: its state, its entries by place and by id, and the index over them."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from commonwatt.errors import FormatError
from ledger.book.body import Body
from ledger.book.entry import SignedEntry, parse
from ledger.book.state import State
from ledger.follower import LogFollower
from ledger.log.checkpoint import Checkpoint
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, WIDTH, TileName
from web.book.index import Index

BUNDLES_KEPT = 512
"""Full bundles that stay in memory, 256 entries each: what many readers of a few weeks look at."""


class FollowedBook:
    """Whoever calls holds its lock. `charges`: what the follower tells of them, until the index has taken it."""

    def __init__(
        self, log: PublishedLog, follower: LogFollower, path: Path, charges: dict[int, Mapping[bytes, int]]
    ) -> None:
        self._log, self._follower, self._path = log, follower, path
        self._bundle = lru_cache(maxsize=BUNDLES_KEPT)(self._read)
        self._index: Index | None = None
        self.charges = charges

    @property
    def state(self) -> State:
        """After all entries that were read."""
        return self._follower.state

    @property
    def size(self) -> int:
        """How many entries the head covers that was read."""
        return self._follower.checkpoint.size

    @property
    def checkpoint(self) -> Checkpoint:
        """The head up to which was read."""
        return self._follower.checkpoint

    @property
    def index(self) -> Index:
        """Opened when it is first asked for."""
        if self._index is None:
            self._index = Index(self._path, self)
        return self._index

    def entries(self, first: int, end: int) -> Iterator[bytes]:
        """The entries of these places; an empty one was erased."""
        for start in range(first // WIDTH * WIDTH, end, WIDTH):
            bundle = self._log.bundle(TileName(ENTRIES, start // WIDTH, min(WIDTH, self.size - start)))
            yield from bundle[max(0, first - start) : end - start]

    def entry(self, place: int) -> bytes:
        """One entry."""
        start = place // WIDTH * WIDTH
        name = TileName(ENTRIES, place // WIDTH, min(WIDTH, self.size - start))
        if name.width < WIDTH:
            return self._log.bundle(name)[place - start]
        found: bytes = self._bundle(name, self._written_ns(name))[place - start]
        return found

    def find_entry(self, entry_id: bytes) -> bytes | None:
        """The entry that has an id."""
        place = self.index.place_of(entry_id)
        return None if place is None else self.entry(place)

    def find_body(self, entry_id: bytes) -> Body | None:
        """What the signed entry that has an id says; None: it is not there, or was erased."""
        data = self.find_entry(entry_id)
        try:
            parsed = parse(data) if data else None
        except FormatError:  # a placed entry is well formed: a broken file is its log's matter
            return None
        return parsed.entry.body if isinstance(parsed, SignedEntry) else None

    def _read(self, name: TileName, _written_ns: int) -> list[bytes]:
        return self._log.bundle(name)

    def _written_ns(self, name: TileName) -> int:
        """A full bundle is written anew when somebody is erased; then what is kept of it is out of date."""
        try:
            return (self._log.root / name.path).stat().st_mtime_ns
        except OSError:
            return 0  # reading it will say what is the matter

    def close(self) -> None:
        """Give the index back."""
        if self._index is not None:
            self._index.close()
