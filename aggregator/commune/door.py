"""The door through which a command's signed entries reach the ledger, whether the aggregator runs or not.

Nobody runs: the ledger is opened. The aggregator has it: the entries are laid into its inbox, and it answers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from aggregator.commune import inbox
from commonwatt.errors import InUseError
from ledger.app import LOG, open_ledger
from ledger.book.replay import replay_slots
from ledger.book.state import State
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed, Refused, Sequencer


class Door(Protocol):
    """What an admission needs of a ledger."""

    @property
    def state(self) -> State:
        """What is admitted, as far as was published."""
        ...

    def submit(self, entries: Sequence[bytes]) -> list[Placed | Refused]:
        """Bring signed entries into the log and publish; an answer for each."""
        ...


class LedgerDoor:
    """Straight into an open ledger."""

    def __init__(self, ledger: Sequencer) -> None:
        self._ledger = ledger

    @property
    def state(self) -> State:
        """The ledger's."""
        return self._ledger.state

    def submit(self, entries: Sequence[bytes]) -> list[Placed | Refused]:
        """Submit and publish."""
        answers = self._ledger.submit(entries)
        self._ledger.publish()
        return answers


class InboxDoor:
    """By way of the running aggregator."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.state = replay_slots(PublishedLog(directory / LOG).slots())

    def submit(self, entries: Sequence[bytes]) -> list[Placed | Refused]:
        """Wait for the aggregator's answers; UserError if it gives none in time (the entries stay in the inbox)."""
        answers = inbox.submit(self._directory, entries) if entries else []
        self.state = replay_slots(PublishedLog(self._directory / LOG).slots())
        return answers


@contextmanager
def opened(directory: Path) -> Iterator[Door]:
    """The door of a commune's directory."""
    try:
        ledger = open_ledger(directory)
    except InUseError:
        yield InboxDoor(directory)
        return
    with ledger:
        yield LedgerDoor(ledger)
