"""The door through which a command's signed entries reach the ledger, whether the aggregator runs or not.

Nobody has the ledger: it is opened. The aggregator or `commonwatt ledger run` has it: the entries are laid into its
inbox, and it answers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from commonwatt.clock import Passing
from commonwatt.errors import InUseError
from ledger import inbox
from ledger.app import LOG, open_ledger
from ledger.book.replay import replay_slots
from ledger.book.state import State
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed, Refused, Sequencer


class Door(Protocol):
    """What a command needs of a ledger."""

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
    """By way of the running aggregator, or whoever else has the ledger."""

    def __init__(self, directory: Path, *, clock: Passing | None = None) -> None:
        self._directory = directory
        self._clock = clock
        self._state: State | None = None

    @property
    def state(self) -> State:
        """Read from the published log when it is asked for: whoever only submits need not wait for that."""
        if self._state is None:
            self._state = replay_slots(PublishedLog(self._directory / LOG).slots())
        return self._state

    def submit(self, entries: Sequence[bytes]) -> list[Placed | Refused]:
        """Wait for the answers; UserError if they do not come in time, and then nothing more is carried out."""
        answers = inbox.submit(self._directory, entries, clock=self._clock) if entries else []
        self._state = None
        return answers


@contextmanager
def opened(directory: Path, *, clock: Passing | None = None) -> Iterator[Door]:
    """The door of a commune's directory. `clock`: by which answers are awaited; none: the machine's."""
    try:
        ledger = open_ledger(directory)
    except InUseError:
        yield InboxDoor(directory, clock=clock)
        return
    with ledger:
        yield LedgerDoor(ledger)
