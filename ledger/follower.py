"""Follows a published log: reads what is new through the rules when it has grown. Needs no key and no database."""

from collections.abc import Callable, Sequence

from commonwatt.errors import StorageError
from ledger.book.reader import LogReader
from ledger.book.state import State
from ledger.log import merkle
from ledger.log.checkpoint import Checkpoint
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, WIDTH, TileName

Look = Callable[[int, Sequence[bytes]], object]
Watch = Callable[[int, Sequence[bytes], State], object]


class LogFollower:
    """A log as far as it was read. The head's signature is not looked at: the files are of whoever follows.

    `state`: what is known of the log's beginning; None reads all of it. `look` sees the entries too, a stretch at a
    time, with the place of its first; `watch` sees also the state after the stretch, but for mint leaves at its end
    whose run comes later.
    """

    def __init__(
        self, log: PublishedLog, state: State | None = None, look: Look | None = None, watch: Watch | None = None
    ) -> None:
        self._log = log
        self._reader = LogReader(state)
        self._look, self._watch = look, watch
        self.checkpoint: Checkpoint = log.unverified_checkpoint()
        """The head up to which entries were read."""
        self.step()

    @property
    def state(self) -> State:
        """What the entries say that were read so far."""
        return self._reader.state

    def step(self) -> bool:
        """Read what is new; whether there was anything. StorageError: the log breaks a rule."""
        head, first = self._log.unverified_checkpoint(), self._reader.size
        for start in range(first // WIDTH * WIDTH, head.size, WIDTH):
            bundle = self._log.bundle(TileName(ENTRIES, start // WIDTH, min(WIDTH, head.size - start)))
            entries = bundle[max(0, first - start) :]
            if not self._reader.read(entries, [merkle.leaf_hash(data) for data in entries]):
                raise StorageError(
                    f"entry {self._reader.size} of the published log breaks a rule",
                    where=self._log.where,
                    to_do="restore the log that belongs to this commune",
                )
            if self._look is not None:
                self._look(max(start, first), entries)
            if self._watch is not None:
                self._watch(max(start, first), entries, self._reader.state)
        self.checkpoint = head
        return head.size > first
