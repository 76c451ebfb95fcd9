"""What moved, entry by entry: the postings that a log means, found by replaying it. Pure: entries in, movements out.

Each movement is the difference that an entry made to the balances, so every kind of entry is exported, also those
that are added later; the movements of one entry sum to zero.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ledger.book import entry, rules
from ledger.book.accounts import Posting, is_balanced
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Kind
from ledger.book.refusals import Refusal
from ledger.book.replay import ReplayError
from ledger.book.state import State

TIME_S_MAX = 253_370_764_800
"""The year 9999 begins. Whoever signs an entry dates it, as absurdly as they like: books must still close."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry that moved credits. `postings`: account and signed thousandths of its unit; `kind`: its label."""

    place: int
    entry_id: bytes
    time_s: int
    kind: str
    postings: tuple[tuple[bytes, int], ...]


def movements(slots: Iterable[tuple[bytes, bytes]], state: State | None = None) -> Iterator[Movement]:
    """Every movement of a log's entries with their leaf hashes; ReplayError names the first that breaks a rule.

    Where entries were erased, the carry-forward that follows moves what they had moved.
    """
    state = state or State()
    known: dict[bytes, int] = {}
    is_waiting = False
    for data, leaf_hash in slots:
        place = state.size
        parsed = entry.parse(data) if data else None
        answer = rules.apply(state, data, place, leaf_hash)
        if isinstance(answer, Refusal):
            raise ReplayError(place, answer)
        state = answer
        # Between two carry-forwards of entries that lie among each other balances are half restored.
        is_carried = isinstance(parsed, SignedEntry) and parsed.entry.kind is Kind.CARRY_FORWARD
        is_waiting = state.book.is_blurred and (is_waiting or is_carried)
        if is_waiting:
            continue
        changed = _changes(state, known)
        if changed and isinstance(parsed, SignedEntry):
            assert is_balanced([Posting(*row) for row in changed])
            time_s = min(parsed.entry.time_s, TIME_S_MAX)
            yield Movement(place, parsed.entry.id, time_s, parsed.entry.kind.label, changed)


def _changes(state: State, known: dict[bytes, int]) -> tuple[tuple[bytes, int], ...]:
    changed = []
    for account in sorted(state.book.accounts.named(state.book.touched)):
        balance_mc = state.book.balance_mc(account)
        before_mc = known.get(account, 0)
        if balance_mc != before_mc:
            changed.append((account, balance_mc - before_mc))
            known[account] = balance_mc
    state.book.forget_touched()
    return tuple(changed)
