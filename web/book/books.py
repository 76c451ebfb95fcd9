"""A commune's ledger for the pages: looked at from many threads, and given what people have signed.

Who has the ledger open carries out what is handed in (ledger/inbox.py): the aggregator, usually. Where nobody has it,
it is opened for the moment.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aggregator.policy import enact
from commonwatt.errors import InUseError, UserError
from commonwatt.i18n import _
from ledger import inbox
from ledger.app import LOG, open_ledger
from ledger.book import entry
from ledger.book.body import Policy
from ledger.book.entry import SignedEntry
from ledger.follower import LogFollower, Look, Watch
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed, Refused
from web.book.followed import FollowedBook
from web.book.index import FILE

AT_ONCE = 24
"""Who may wait for the ledger's answer at the same time: of the 40 threads that answer pages, others have to stay
free for those who only read."""


class LedgerHand:
    """By way of whoever has the ledger open, or by opening it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._turns = threading.Semaphore(AT_ONCE)
        self._alone = threading.Lock()
        self._is_in_use = False

    def submit(self, entries: Sequence[bytes]) -> list[Placed | Refused]:
        """UserError if nobody carries it out in time, or too many wait for that; StorageError if a disk fails."""
        if not self._turns.acquire(blocking=False):
            raise UserError(
                _("Too many people are paying or signing at this moment."),
                to_do=_("Nothing was done: try again in a minute. A signed payment is kept and sent again."),
            )
        try:
            return self._submit(entries)
        finally:
            self._turns.release()

    def _submit(self, entries: Sequence[bytes]) -> list[Placed | Refused]:
        if not self._is_in_use:
            with self._alone:
                try:
                    with open_ledger(self._directory) as ledger:
                        answers = ledger.submit(entries)
                        ledger.publish()
                        return answers
                except InUseError:
                    self._is_in_use = True
        try:
            return inbox.submit(self._directory, entries)
        except Exception:
            self._is_in_use = False  # whoever had it may have ended: the next one looks again
            raise


class Books:
    """The ledger of a commune's directory, as far as it is published."""

    def __init__(self, directory: Path, *, look: Look | None = None, watch: Watch | None = None) -> None:
        self._directory = directory
        log = PublishedLog(directory / LOG)
        self._lock = threading.RLock()
        charges: dict[int, Mapping[bytes, int]] = {}
        self._follower = LogFollower(log, look=look, watch=watch, charged=charges.__setitem__)
        self._book = FollowedBook(log, self._follower, directory / FILE, charges)
        self._hand = LedgerHand(directory)

    @contextmanager
    def now(self) -> Iterator[FollowedBook]:
        """The book as it is published now, nobody else's while the `with` lasts: look, and be quick."""
        with self._lock:
            self._follower.step()
            yield self._book

    def submit(self, *entries: bytes) -> list[Placed | Refused]:
        """Hand in signed entries; an answer for each. What was placed is seen by the next `now`; rules that were
        placed are written into policy.toml too, for whoever reads them there."""
        answers = self._hand.submit(entries)
        for data, answer in zip(entries, answers, strict=True):
            parsed = entry.parse(data) if isinstance(answer, Placed) else None
            if isinstance(parsed, SignedEntry) and isinstance(parsed.entry.body, Policy):
                enact.write_down(self._directory, parsed.entry.body.text)
        return answers

    def close(self) -> None:
        """Give the index back."""
        self._book.close()
