"""Reads a whole log through the rules, from entries in hand."""

import itertools
from collections.abc import Iterable

from commonwatt.errors import CommonwattError
from ledger.book.reader import LogReader
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.log import merkle

GROUP = 1000


class ReplayError(CommonwattError):
    """An entry of the log should not be there."""

    def __init__(self, place: int, refusal: Refusal) -> None:
        self.place = place
        self.refusal = refusal
        super().__init__(f"entry {place} is refused: {refusal.label}")


def replay(entries: Iterable[bytes], state: State | None = None) -> State:
    """The state after these entries, on top of `state`; ReplayError names the first that breaks a rule.

    A log that ends between mint leaves and their run breaks one too.
    """
    return replay_slots(((data, merkle.leaf_hash(data)) for data in entries), state)


def replay_slots(slots: Iterable[tuple[bytes, bytes]], state: State | None = None) -> State:
    """`replay` of entries with their leaf hashes, some of which may have been erased and are empty."""
    reader = LogReader(state)
    remaining = iter(slots)
    while group := list(itertools.islice(remaining, GROUP)):
        if not reader.read([data for data, _ in group], [leaf_hash for _, leaf_hash in group]):
            break
    reader.finish()
    if reader.refused is not None:
        raise ReplayError(reader.size, reader.refused)
    return reader.state
