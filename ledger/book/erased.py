"""Which entries are a person's, and the carry-forward that must stand in the log before they are erased. Pure."""

from collections.abc import Sequence

from ledger.book import entry, rules_erasure
from ledger.book.body import CarryForward
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Kind
from ledger.book.parties import parties, referred
from ledger.book.reader import LogReader
from ledger.book.state import State

Slot = tuple[bytes, bytes]
"""An entry, empty if it was erased, and its leaf hash."""


def places_of(holder: bytes, slots: Sequence[Slot], state: State) -> list[int]:
    """Where the entries stand that concern a holder, and those that answer, end or undo one of them."""
    found: list[int] = []
    theirs: set[bytes] = set()
    for place, (data, _) in enumerate(slots):
        if not data:
            continue
        parsed = entry.parse(data)
        if not isinstance(parsed, SignedEntry):
            is_theirs = parsed.account == holder
        else:
            body = parsed.entry.body
            is_theirs = holder in parties(parsed, state, _nothing) or referred(body) in theirs
            is_theirs = is_theirs and parsed.entry.kind is not Kind.GENESIS
            theirs |= {parsed.entry.id} if is_theirs else set()
        found += [place] if is_theirs else []
    return found


def compose(holder: bytes, slots: Sequence[Slot], state: State, reason: str) -> CarryForward | None:
    """What the roles sign before a holder's entries are erased; None if it is more than one entry can say.

    The log is read a second time as it will be, and every account that then stands elsewhere is carried.
    """
    places = places_of(holder, slots, state)
    gone = set(places)
    reader = LogReader(may_end_blurred=True)
    kept = [b"" if place in gone else data for place, (data, _) in enumerate(slots)]
    is_read = reader.read(kept, [leaf_hash for _, leaf_hash in slots]) and reader.finish()
    assert is_read, f"entry {reader.size} of our own log: {reader.refused}"
    return rules_erasure.compose(holder, places, state.book, reader.state.book, reason)


def _nothing(_entry_id: bytes) -> None:
    """Entries that name others are found by their ids instead."""
