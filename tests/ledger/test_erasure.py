"""Erasing a person: the log goes on verifying, balances stay, and nothing of theirs is left."""

from dataclasses import replace
from typing import Any

import pytest

from ledger import testing
from ledger.book import erased, rules
from ledger.book.body import CarryForward
from ledger.book.measures import Carried
from ledger.book.reader import LogReader
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.log import merkle

LIFE = """
policy
charges
association
admit ana ben eve
merchant shop
site farm ana
device meter farm
mint 0 ana 900 100
mint 0 ben 90 10
run 0
mint 1 ben 5 5
mint 1 ana 40 4
mint 1 eve 7 0
run 1
mint 2 ana 3 0
run 2
pay ana ben 200 as gift
pay ben ana 30
pay ana:hours ben:hours 2000
ask ben ana 11 escrow as jam
accept jam
settle jam as paid
reverse paid 4
topup ana 500 50
pay ana:euro shop:euro 500
charge levy energy 0 507
pay ben eve 10
charge expiry hours 0 0
hold ana 5 77 as odd
release odd
guard ana 1 phone
rotate member ana ana2
pay ana ben 400 by ana2
revoke device meter
revoke member ana
"""


def lived(book: Any) -> list[erased.Slot]:
    """A village in which ana did everything that members do, and left."""
    book.write(LIFE)
    return slots_of(book)


def slots_of(book: Any) -> list[erased.Slot]:
    return [(data, merkle.leaf_hash(data)) for data in book.log]


def without(slots: list[erased.Slot], body: CarryForward) -> list[erased.Slot]:
    gone = places_of(body)
    return [(b"" if place in gone else data, leaf) for place, (data, leaf) in enumerate(slots)]


def places_of(body: CarryForward) -> set[int]:
    return {place for first, count in body.erased for place in range(first, first + count)}


def reread(slots: list[erased.Slot]) -> LogReader:
    reader = LogReader()
    reader.read([data for data, _ in slots], [leaf for _, leaf in slots])
    reader.finish()
    return reader


def accounts(state: State) -> dict[bytes, tuple[int, int]]:
    return {name: (row.debits_mc, row.credits_mc) for name, row in state.book.accounts.items()}


def carry(book: Any, name: str) -> CarryForward:
    body = erased.compose(testing.ident(name), slots_of(book), book.state, "asked for")
    assert body is not None
    assert book.put(testing.signed(body, "steward", "townhall")) is None
    return body


def test_log_when_a_person_is_erased(book: Any) -> None:
    """Every balance is as before, the replay is strict again, and neither id nor key nor memo is left."""
    lived(book)
    body = carry(book, "ana")
    slots = without(slots_of(book), body)
    reader = reread(slots)
    assert reader.refused is None
    assert accounts(reader.state) == accounts(book.state)
    assert reader.state.book.pending_mc == book.state.book.pending_mc
    assert (reader.state.erasure.count, reader.state.book.is_blurred) == (sum(c for _, c in body.erased), False)
    kept = b"".join(data for data, _ in slots[:-1])
    for trace in ("ana", "farm", "meter"):
        assert testing.ident(trace) not in kept
    assert testing.key("ana").public_key not in kept
    too_much = testing.pay("ben", "eve", book.balance_mc("ben") + 1)
    assert rules.apply(reader.state, too_much, reader.state.size) is Refusal.INSUFFICIENT_FUNDS
    assert isinstance(rules.apply(reader.state, testing.pay("ben", "eve", 1), reader.state.size), State)


def test_log_when_one_after_the_other_is_erased(book: Any) -> None:
    """Several carry-forwards, whose empty slots lie among each other; life goes on in between."""
    lived(book)
    first = carry(book, "ana")
    book.write("pay ben eve 20\n mint 6 eve 9 1\n run 6\n pay eve shop 3\n revoke member eve")
    second = carry(book, "eve")
    book.write("pay ben shop 1")
    slots = without(without(slots_of(book), first), second)
    reader = reread(slots)
    assert reader.refused is None, (reader.size, reader.refused)
    assert accounts(reader.state) == accounts(book.state)


def test_log_when_only_the_newest_slots_are_empty_yet(book: Any) -> None:
    """Files are emptied from the newest to the oldest: a copy caught in the middle of it verifies too."""
    lived(book)
    body = carry(book, "ana")
    slots = slots_of(book)
    for place in sorted(places_of(body), reverse=True):
        slots[place] = (b"", slots[place][1])
        reader = reread(slots)
        assert reader.refused is None, (place, reader.size, reader.refused)
        assert accounts(reader.state) == accounts(book.state)


def test_slot_when_no_carry_forward_names_it(book: Any) -> None:
    """Whoever empties another slot is found out, at that slot."""
    lived(book)
    body = carry(book, "ana")
    slots = without(slots_of(book), body)
    place = next(place for place, (data, _) in enumerate(slots) if data == testing.member("ben"))
    slots[place] = (b"", slots[place][1])
    reader = reread(slots)
    assert reader.refused is not None
    unnamed = slots_of(book)[:-1]
    unnamed[5] = (b"", unnamed[5][1])
    reader = reread(unnamed)
    assert (reader.refused, reader.size) == (Refusal.NOT_CARRIED, 5) or reader.refused is Refusal.UNKNOWN_ACCOUNT
    assert rules.apply(State(), b"", 0, bytes(32)) is Refusal.MISPLACED


def test_slot_when_it_hides_a_mint(book: Any) -> None:
    """Leaves that were erased still have to give the root that the run committed to."""
    lived(book)
    body = carry(book, "ana")
    slots = without(slots_of(book), body)
    place = next(p for p, (data, _) in enumerate(slots_of(book)) if data == testing.earned("ana", 900, 100).encode())
    slots[place] = (b"", bytes(32))
    assert reread(slots).refused is Refusal.RUN_ROOT


@pytest.mark.parametrize(
    ("story", "change", "refusal"),
    [
        ("", {"holder": testing.ident("nobody")}, Refusal.UNKNOWN_ACCOUNT),
        ("", {"holder": testing.ident("ben")}, Refusal.NOT_REVOKED),
        ("", {"erased": ((1, 10_000),)}, Refusal.RUN_RANGE),
        ("", {"accounts": (Carried(testing.ident("ben"), 0, 1, 0, 0),)}, Refusal.WRONG_BALANCE),
        ("ask ben shop 5\n revoke member ben", {"holder": testing.ident("ben")}, Refusal.STILL_OPEN),
        ("hold ben 7 5\n revoke member ben", {"holder": testing.ident("ben")}, Refusal.STILL_OPEN),
    ],
)
def test_carry_forward_when_it_is_not_so(book: Any, story: str, change: dict[str, Any], refusal: Refusal) -> None:
    """It states the book as it is, of somebody who has left and owes no answer; and by the quorum."""
    lived(book)
    if story:
        book.write(story)
    body = erased.compose(testing.ident("ana"), slots_of(book), book.state, "asked for")
    assert body is not None
    assert book.put(testing.signed(replace(body, **change), "steward", "townhall")) is refusal
    assert book.put(testing.signed(body, "steward")) is Refusal.QUORUM_NOT_REACHED
