"""Reads a whole log through the rules: how a sequencer starts, and how an auditor convinces itself."""

from collections.abc import Iterable

from commonwatt.errors import CommonwattError
from ledger.book import rules
from ledger.book.refusals import Refusal
from ledger.book.state import State


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
    state = state or State()
    for data in entries:
        answer = rules.apply(state, data, state.size)
        if isinstance(answer, Refusal):
            raise ReplayError(state.size, answer)
        state = answer
    if state.stage is not None:
        raise ReplayError(state.stage.first, Refusal.MISPLACED)
    return state
