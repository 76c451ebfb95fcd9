"""Follows a published log: reads what is new through the rules when it has grown. Needs no key and no database."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from commonwatt.errors import StorageError
from ledger.book import entry
from ledger.book.account_columns import view
from ledger.book.columns import Integers
from ledger.book.kinds import Kind
from ledger.book.mint import LEAF_HEAD
from ledger.book.reader import LogReader
from ledger.book.state import State
from ledger.log import merkle
from ledger.log.checkpoint import Checkpoint
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, WIDTH, TileName

Look = Callable[[int, Sequence[bytes]], object]
Watch = Callable[[int, Sequence[bytes], State], object]
Charged = Callable[[int, Mapping[bytes, int]], object]


class LogFollower:
    """A log as far as it was read. The head's signature is not looked at: the files are of whoever follows.

    `state`: what is known of the log's beginning; None reads all of it. `look` sees the entries too, a stretch at a
    time, with the place of its first; `watch` sees also the state after the stretch, but for mint leaves at its end
    whose run comes later. `charged` is told what each charge at a place moved, by account: it stands in no entry, and
    follows from what everybody held then.
    """

    def __init__(
        self,
        log: PublishedLog,
        state: State | None = None,
        look: Look | None = None,
        watch: Watch | None = None,
        charged: Charged | None = None,
    ) -> None:
        self._log = log
        self._reader = LogReader(state)
        self._look, self._watch, self._charged = look, watch, charged
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
            for part in _parts(entries) if self._charged is not None else (entries,):
                self._read(part)
            if self._look is not None:
                self._look(max(start, first), entries)
            if self._watch is not None:
                self._watch(max(start, first), entries, self._reader.state)
        self.checkpoint = head
        return head.size > first

    def _read(self, entries: Sequence[bytes]) -> None:
        place = self._reader.size
        is_charge = self._charged is not None and entry.kind_of(entries[0]) == Kind.CHARGE
        before_mc = self._balances_mc() if is_charge else None
        if not self._reader.read(entries, merkle.leaf_hashes(entries)):
            raise StorageError(
                f"entry {self._reader.size} of the published log breaks a rule",
                where=self._log.where,
                to_do="restore the log that belongs to this commune",
            )
        if self._charged is not None and before_mc is not None:
            after_mc = self._balances_mc()
            moved_mc = after_mc - np.pad(before_mc, (0, len(after_mc) - len(before_mc)))
            who = np.flatnonzero(moved_mc)
            names = self.state.book.accounts.named(who.tolist())
            self._charged(place, dict(zip(names, moved_mc[who].tolist(), strict=True)))

    def _balances_mc(self) -> Integers:
        accounts = self.state.book.accounts
        return view(accounts.credits_mc) - view(accounts.debits_mc)


def _parts(entries: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The same entries, each charge by itself. Most are mint leaves, which a look at their first byte sets aside."""
    leaf, start = LEAF_HEAD[0], 0
    for at in [at for at, data in enumerate(entries) if data and data[0] != leaf]:
        if entry.kind_of(entries[at]) == Kind.CHARGE:
            yield from (part for part in (entries[start:at], entries[at : at + 1]) if part)
            start = at + 1
    if entries[start:]:
        yield entries[start:]
