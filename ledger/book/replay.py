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
    reader = LogReader(state)
    remaining = iter(entries)
    while group := list(itertools.islice(remaining, GROUP)):
        if not reader.read(group, [merkle.leaf_hash(data) for data in group]):
            break
    reader.finish()
    if reader.refused is not None:
        raise ReplayError(reader.size, reader.refused)
    return reader.state
