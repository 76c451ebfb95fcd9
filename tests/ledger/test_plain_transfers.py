"""Transfers read at one glance and made the short way: what the general parser and the rules say, always."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import FormatError
from commonwatt.registry import Status
from commonwatt.units import INT64_MAX
from ledger import signatures, testing
from ledger.book import entry, plain_transfers, rules, transfer_shape
from ledger.book.accounts import Account
from ledger.book.body import Transfer
from ledger.book.entry import Entry, SignedEntry
from ledger.book.kinds import Subject
from ledger.book.payments import PaymentAnswer, PaymentRequest, Verdict
from ledger.book.reader import is_leaf
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.book.units import ISSUANCE
from ledger.sequencer import Placed, Refused
from ledger.signatures import SignaturePool

uints = st.one_of(
    st.integers(0, 30), st.integers(0, INT64_MAX), st.sampled_from([23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32])
)
memos = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=64),
    st.sampled_from([0, 23, 24, 107, 108, 200, 255, 256]).map(lambda size: "m" * size),
)


@st.composite
def transfers(draw: st.DrawFn) -> bytes:
    octets_16 = st.binary(min_size=16, max_size=16)
    body = Transfer(draw(octets_16), draw(octets_16), draw(uints), draw(memos))
    return Entry(draw(octets_16), draw(uints), body).sign(testing.key("ana"), testing.GENESIS_SHA256)


def generally(data: bytes) -> SignedEntry | str | None:
    try:
        parsed = entry.parse(data)
    except FormatError as error:
        return error.reason
    return parsed if isinstance(parsed, SignedEntry) else None


def assert_agree(data: bytes) -> None:
    """What is read at one glance the general parser reads as the same transfer."""
    plain, signed = transfer_shape.read(data), generally(data)
    if plain is not None:
        assert isinstance(signed, SignedEntry)
        body = signed.entry.body
        assert isinstance(body, Transfer)
        assert (plain.id, plain.payer, plain.payee) == (signed.entry.id, body.payer, body.payee)
        assert plain.amount_mc == body.amount_mc


@given(transfers())
def test_transfer_when_it_is_one(data: bytes) -> None:
    """Every transfer of energy credits that we can write is read at one glance."""
    assert transfer_shape.read(data) is not None
    assert_agree(data)


@given(transfers(), st.data())
def test_transfer_when_bytes_of_it_are_changed(made: bytes, data: st.DataObject) -> None:
    """Flipped, cut out, doubled: nothing is read that the general parser refuses, and nothing else than it reads."""
    changed = bytearray(made)
    for _change in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "double"])):
            case "flip":
                changed[at] = data.draw(st.integers(0, 255))
            case "cut":
                del changed[at]
            case _:
                changed.insert(at, changed[at])
    assert_agree(bytes(changed))


def test_transfer_when_every_byte_has_every_value() -> None:
    """One transfer, each of its bytes with each value: what is read is what the general parser reads."""
    made = testing.pay("ana", "ben", 1000, memo="für Brot")
    for at in range(len(made) - 64):
        for value in range(0, 256, 1 if at < 20 or at > 36 else 51):
            assert_agree(made[:at] + bytes([value]) + made[at + 1 :])


@pytest.mark.parametrize("size", [257, 300])
def test_transfer_when_its_text_is_too_long(size: int) -> None:
    """Refused by the general parser, so not read here."""
    data = testing.pay("ana", "ben", 1000, memo="m" * size)
    assert generally(data) == "malformed"
    assert transfer_shape.read(data) is None


def test_transfer_when_it_is_in_another_unit() -> None:
    """Left to the general parser."""
    assert transfer_shape.read(testing.pay("ana:mutual", "ben:mutual", 10)) is None


class Threads(SignaturePool):
    """Verifies in a thread: the same jobs without the time that processes take to start."""

    def _started(self) -> ProcessPoolExecutor:
        return cast(ProcessPoolExecutor, _THREAD)


_THREAD = ThreadPoolExecutor(1)
NAMES = ("ana", "ben", "cleo", "dora", "eve", "fay")


def village_state() -> State:
    """Six members; dora is suspended, eve revoked, fay has another key; ana has promised some of what she has."""
    state = State()
    asked = testing.signed(
        PaymentRequest(testing.account("ben"), testing.account("ana"), 40, True, ""), "ben", entry_id="asked"
    )
    entries = [
        *(testing.GENESIS, testing.policy(), testing.member("association", Subject.ASSOCIATION)),
        *map(testing.member, NAMES),
        testing.status(Subject.MEMBER, "dora", Status.SUSPENDED),
        testing.status(Subject.MEMBER, "eve", Status.REVOKED),
        testing.rotation(Subject.MEMBER, testing.ident("fay"), "fay's new key", "fay"),
        asked,
    ]
    for data in entries:
        assert not isinstance(rules.apply(state, data, state.size), Refusal)
    for name in NAMES:
        state.book.accounts[testing.ident(name)] = Account(0, 100)
    state.book.accounts[testing.ident("cleo")] = Account(INT64_MAX - 120, INT64_MAX - 20)
    state.book.accounts[ISSUANCE].debits_mc = 1000
    accepted = testing.signed(PaymentAnswer(testing.entry_id("asked"), Verdict.ACCEPT), "ana", entry_id="accepted")
    assert not isinstance(rules.apply(state, accepted, state.size), Refusal)
    return state


def paid(draw: st.DrawFn, number: int) -> bytes:
    """A transfer, often good."""
    name = st.sampled_from([*NAMES, "ana", "ben", "ana:mutual", "ben:mutual", "nobody", "association"])
    payer, payee = draw(name), draw(name)
    signer = draw(st.sampled_from([payer.partition(":")[0]] * 6 + ["fay's new key", "mallory", "steward"]))
    genesis = draw(st.sampled_from([testing.GENESIS_SHA256] * 9 + [bytes(32)]))
    amount_mc = draw(st.sampled_from([0, 1, 5, 20, 60, 100, 101, INT64_MAX]))
    body = Transfer(testing.account(payer), testing.account(payee), amount_mc, f"memo {number}")
    entry_id = draw(st.sampled_from([None] * 6 + ["known", "asked"]))
    return testing.signed(body, signer, entry_id=entry_id, genesis=genesis)


def changed(draw: st.DrawFn, number: int) -> bytes:
    """An entry of another kind that changes who may pay, or bytes that are none."""
    change: Callable[[], bytes] = draw(
        st.sampled_from(
            [
                lambda: testing.status(Subject.MEMBER, "ana", Status.SUSPENDED, str(number)),
                lambda: testing.status(Subject.MEMBER, "ben", Status.REVOKED, str(number)),
                lambda: testing.rotation(Subject.MEMBER, testing.ident("ben"), "ben's new key", "ben"),
                lambda: testing.signed(PaymentAnswer(testing.entry_id("asked"), Verdict.SETTLE), "ana"),
                lambda: testing.earned("ana", 5).encode(),
                lambda: testing.pay("ana", "ben", 3)[:-1],
                lambda: b"",
            ]
        )
    )
    return change()


@st.composite
def mixtures(draw: st.DrawFn) -> list[bytes]:
    kinds = draw(st.lists(st.sampled_from([paid] * 7 + [changed]), min_size=1, max_size=25))
    entries = [made(draw, number) for number, made in enumerate(kinds)]
    return entries + draw(st.lists(st.sampled_from(entries), max_size=2))


def one_by_one(state: State, entries: list[bytes]) -> Iterator[tuple[Any, ...]]:
    for data in entries:
        answer = rules.apply(state, data, state.size)
        yield answer if isinstance(answer, Refusal) else None, state.size, state.warned
        if not is_leaf(data):  # so that a leaf waits for its run when the next entry comes
            rules.withdraw_stage(state)
    rules.withdraw_stage(state)


def ahead(state: State, entries: list[bytes], batch: int) -> Iterator[tuple[Any, ...]]:
    def batches() -> Iterator[tuple[Any, Any]]:
        for start in range(0, len(entries), batch):
            part = entries[start : start + batch]
            readings = [signatures.read(data) for data in part]
            pairs = list(zip(part, readings, strict=True))
            yield pairs, [(data, reading) for data, reading in pairs if reading is not None]

    for pairs in Threads().ahead(state, batches()):
        for data, reading in pairs:
            if reading is None:
                answer = rules.apply(state, data, state.size)
            else:
                answer = plain_transfers.apply_reading(state, reading, data, state.size)
            yield answer if isinstance(answer, Refusal) else None, state.size, state.warned
            if not is_leaf(data):
                rules.withdraw_stage(state)
    rules.withdraw_stage(state)


def assert_same(entries: list[bytes], batch: int) -> list[Refusal | None]:
    """Ahead of their turn or entry by entry: the same answers, warnings and state. The refusals."""
    plain, ahead_of = village_state(), village_state()
    answers = list(one_by_one(plain, entries))
    assert list(ahead(ahead_of, entries, batch)) == answers
    assert ahead_of.digest() == plain.digest()
    assert ahead_of.book.touched == plain.book.touched
    assert ahead_of.paid == plain.paid
    return [refusal for refusal, _size, _warned in answers]


@given(mixtures(), st.integers(1, 9))
def test_mixture_when_signatures_are_verified_ahead(entries: list[bytes], batch: int) -> None:
    """Good, overdrawn, repeated, badly signed, promised, suspended, rotated, other kinds: as entry by entry."""
    assert_same(entries, batch)


def test_transfer_when_the_payer_has_promised_it() -> None:
    """ana has 100 and has promised 40."""
    entries = [testing.pay("ana", "ben", 61), testing.pay("ana", "ben", 60), testing.pay("ana", "ben", 1)]
    assert assert_same(entries, 3) == [Refusal.INSUFFICIENT_FUNDS, None, Refusal.INSUFFICIENT_FUNDS]


def test_transfer_when_the_payee_cannot_hold_it() -> None:
    """cleo received all but 20 of what 63 bits hold."""
    entries = [testing.pay("ben", "cleo", 21), testing.pay("ben", "cleo", 20), testing.pay("ben", "cleo", 1)]
    assert assert_same(entries, 3) == [Refusal.OVERFLOW, None, Refusal.OVERFLOW]


def test_transfer_when_it_is_of_nothing() -> None:
    """Refused by the rules."""
    assert assert_same([testing.pay("ben", "ana", 0)], 1) == [Refusal.AMOUNT_ZERO]


def test_transfer_when_the_key_changes_before_its_turn() -> None:
    """Verified with the key of before, and refused with the one of now."""
    rotation = testing.rotation(Subject.MEMBER, testing.ident("ben"), "ben's new key", "ben")
    assert assert_same([rotation, testing.pay("ben", "ana", 1)], 2) == [None, Refusal.KEY_ROTATED]


def test_transfer_when_mint_leaves_wait_for_their_run() -> None:
    """It has no place between them."""
    entries = [testing.earned("ana", 5).encode(), testing.pay("ben", "ana", 1)]
    assert assert_same(entries, 2) == [None, Refusal.MISPLACED]


def test_transfer_when_the_one_before_has_warned() -> None:
    """The warning is of the entry that earned it alone."""
    assert assert_same([testing.pay("ana:mutual", "ben:mutual", 150), testing.pay("ben", "ana", 1)], 2) == [None] * 2


def files(root: Path) -> dict[str, str]:
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def submitted(folder: Path, entries: list[bytes], at_once: int) -> tuple[list[Placed | Refused], bytes]:
    with testing.village(folder, *NAMES) as sequencer:
        testing.mint(sequencer, [testing.earned(name, 2000) for name in NAMES])
        answers: list[Placed | Refused] = []
        for start in range(0, len(entries), at_once):
            answers += sequencer.submit(entries[start : start + at_once])
        sequencer.publish()
        return answers, sequencer.state.digest()


def test_submit_when_it_is_a_mixture_at_once_or_one_by_one(tmp_path: Path) -> None:
    """Answers, state and published files are the same; most of it is plain, and other processes verify it."""
    entries = [testing.pay(NAMES[n % 6], NAMES[(n + n // 6) % 6], 1 + n, memo=str(n)) for n in range(280)]
    entries[40] = testing.status(Subject.MEMBER, "dora", Status.SUSPENDED)
    entries[90] = entries[10]
    entries[120] = entries[120][:-1] + bytes([entries[120][-1] ^ 1])
    entries[200] = testing.rotation(Subject.MEMBER, testing.ident("ben"), "ben's new key", "ben")
    at_once = submitted(tmp_path / "at once", entries, len(entries))
    one_at_a_time = submitted(tmp_path / "one by one", entries, 1)
    assert at_once == one_at_a_time
    refusals = {answer.refusal for answer in at_once[0] if isinstance(answer, Refused)}
    assert {Refusal.SUSPENDED, Refusal.BAD_SIGNATURE, Refusal.KEY_ROTATED, Refusal.SAME_ACCOUNT} <= refusals
    assert sum(isinstance(answer, Placed) for answer in at_once[0]) > 100
    assert files(tmp_path / "at once" / "log") == files(tmp_path / "one by one" / "log")
