"""Transfers read and made in columns: what the general parser and the rules say one by one, always."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE
from commonwatt.registry import Status
from commonwatt.units import INT64_MAX
from ledger import testing
from ledger.book import batch, entry, rules, transfer_arrays
from ledger.book.account_columns import Account
from ledger.book.body import Transfer
from ledger.book.entry import Entry, SignedEntry
from ledger.book.entry_ids import EntryIds
from ledger.book.kinds import Subject
from ledger.book.mint import is_leaf
from ledger.book.payments import PaymentAnswer, PaymentRequest, Verdict
from ledger.book.reader import LogReader
from ledger.book.refusals import Refusal
from ledger.book.state import REVERSIBLE_HALF, Moved, State
from ledger.book.transfer_bulk import STRETCH_MIN, Together
from ledger.book.units import ISSUANCE
from ledger.log import merkle
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


def usual(data: bytes) -> tuple[bytes, bytes, bytes, int] | None:
    """Id, payer, payee and amount as the general parser reads them, if it is a transfer in energy credits."""
    signed = generally(data)
    body = signed.entry.body if isinstance(signed, SignedEntry) else None
    if not isinstance(signed, SignedEntry) or not isinstance(body, Transfer):
        return None
    is_energy = len(body.payer) == len(body.payee) == ID_SIZE
    return (signed.entry.id, body.payer, body.payee, body.amount_mc) if is_energy else None


def assert_agree(entries: list[bytes]) -> None:
    """What is read in columns is what the general parser reads as usual transfers, no more and no less."""
    found = transfer_arrays.parse(entries)
    columns = zip(found.ids, found.payers, found.payees, found.amount_mc.tolist(), strict=True)
    expected = {row: usual(data) for row, data in enumerate(entries)}
    assert dict(zip(found.rows.tolist(), columns, strict=True)) == {row: x for row, x in expected.items() if x}


def changed_somewhere(draw: st.DrawFn, made: bytes) -> bytes:
    """Bytes flipped, cut out or doubled."""
    changed = bytearray(made)
    for _change in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(changed) - 1))
        match draw(st.sampled_from(["flip", "cut", "double"])):
            case "flip":
                changed[at] = draw(st.integers(0, 255))
            case "cut":
                del changed[at]
            case _:
                changed.insert(at, changed[at])
    return bytes(changed)


@given(st.lists(transfers(), min_size=1, max_size=6))
def test_transfers_when_they_are_usual(entries: list[bytes]) -> None:
    """Every transfer of energy credits that we can write is read in columns."""
    assert len(transfer_arrays.parse(entries)) == len(entries)
    assert_agree(entries)


@given(st.lists(transfers(), min_size=1, max_size=5), st.data())
def test_transfers_when_bytes_of_them_are_changed(made: list[bytes], data: st.DataObject) -> None:
    """Nothing is read that the general parser refuses, nothing else than it reads, and no neighbour suffers."""
    entries = [data.draw(st.composite(changed_somewhere)(one)) for one in made]
    assert_agree([*entries, b"", testing.earned("ana", 5).encode()])


def test_transfers_when_every_byte_has_every_value() -> None:
    """One transfer, each of its bytes with each value, all at once."""
    made = testing.pay("ana", "ben", 1000, memo="für Brot")
    values = [
        made[:at] + bytes([value]) + made[at + 1 :]
        for at in range(len(made) - 64)
        for value in range(0, 256, 1 if at < 20 or at > 36 else 51)
    ]
    assert_agree(values)


@pytest.mark.parametrize("size", [0, 23, 24, 107, 108, 255, 256, 257, 300])
def test_transfers_when_the_text_has_a_size(size: int) -> None:
    """Up to 256 bytes; a longer text is refused by the general parser, so not read here."""
    data = testing.pay("ana", "ben", 1000, memo="m" * size)
    assert (generally(data) == "malformed") == (size > 256)
    assert len(transfer_arrays.parse([data])) == (size <= 256)


def test_transfers_when_they_are_in_another_unit() -> None:
    """Left to the general parser."""
    assert len(transfer_arrays.parse([testing.pay("ana:mutual", "ben:mutual", 10)])) == 0


@given(st.lists(st.binary(max_size=500), max_size=4))
def test_transfers_when_they_are_anything(entries: list[bytes]) -> None:
    """Whatever bytes come."""
    assert_agree(entries)


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
    state.book.accounts[ISSUANCE] = Account(1000, 0)
    accepted = testing.signed(PaymentAnswer(testing.entry_id("asked"), Verdict.ACCEPT), "ana", entry_id="accepted")
    assert not isinstance(rules.apply(state, accepted, state.size), Refusal)
    return state


def good(draw: st.DrawFn, number: int) -> list[bytes]:
    """Some transfers between three members that nearly always may be made."""
    count = draw(st.integers(1, STRETCH_MIN + 2))
    pairs = [("ben", "ana"), ("cleo", "ben"), ("ben", "cleo"), ("ana", "dora")]
    return [testing.pay(*draw(st.sampled_from(pairs)), 1, f"good {number} {at}") for at in range(count)]


def paid(draw: st.DrawFn, number: int) -> list[bytes]:
    """A transfer, often good."""
    name = st.sampled_from([*NAMES, "ana", "ben", "ana:mutual", "ben:mutual", "nobody", "association"])
    payer, payee = draw(name), draw(name)
    signer = draw(st.sampled_from([payer.partition(":")[0]] * 6 + ["fay's new key", "mallory", "steward"]))
    genesis = draw(st.sampled_from([testing.GENESIS_SHA256] * 9 + [bytes(32)]))
    amount_mc = draw(st.sampled_from([0, 1, 5, 20, 60, 100, 101, INT64_MAX]))
    body = Transfer(testing.account(payer), testing.account(payee), amount_mc, f"memo {number}")
    entry_id = draw(st.sampled_from([None] * 6 + ["known", "asked"]))
    return [testing.signed(body, signer, entry_id=entry_id, genesis=genesis)]


def changed(draw: st.DrawFn, number: int) -> list[bytes]:
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
    return [change()]


@st.composite
def mixtures(draw: st.DrawFn) -> list[bytes]:
    """Stretches of good transfers, long enough to be made together, among everything else."""
    kinds = draw(st.lists(st.sampled_from([good] * 3 + [paid] * 4 + [changed]), min_size=1, max_size=12))
    entries = [data for number, made in enumerate(kinds) for data in made(draw, number)]
    return entries + draw(st.lists(st.sampled_from(entries), max_size=2))


def one_by_one(state: State, entries: list[bytes]) -> Iterator[tuple[Any, ...]]:
    for data in entries:
        answer = rules.apply(state, data, state.size)
        yield answer if isinstance(answer, Refusal) else None, state.size, state.warned
        if not is_leaf(data):  # so that a leaf waits for its run when the next entry comes
            rules.withdraw_stage(state)
    rules.withdraw_stage(state)


def ahead(state: State, entries: list[bytes], size: int) -> Iterator[tuple[Any, ...]]:
    """The same in batches whose signatures are verified ahead; how many were made together."""
    batches = (batch.read(entries[start : start + size]) for start in range(0, len(entries), size))
    for read in Threads().ahead(state, ((read, read) for read in batches)):
        together, row = Together(state, read), 0
        while row < len(read.entries):
            before = state.size
            made = together.take(row)
            for at in range(len(made)):
                yield None, before + at + 1, ()
            if not made:
                signed, data = read.signed(row, state.genesis_sha256), read.entries[row]
                if signed is None:
                    answer = rules.apply(state, data, state.size)
                else:
                    answer = rules.apply_parsed(state, signed, data, state.size)
                yield answer if isinstance(answer, Refusal) else None, state.size, state.warned
                if not is_leaf(data):
                    rules.withdraw_stage(state)
            row += len(made) or 1
    rules.withdraw_stage(state)


def assert_same(entries: list[bytes], size: int) -> list[Refusal | None]:
    """In columns or entry by entry: the same answers, warnings and state. The refusals."""
    plain, ahead_of = village_state(), village_state()
    answers = list(one_by_one(plain, entries))
    assert list(ahead(ahead_of, entries, size)) == answers
    assert ahead_of.digest() == plain.digest()
    assert ahead_of.book.touched == plain.book.touched
    assert (ahead_of.paid, ahead_of.paid_before) == (plain.paid, plain.paid_before)
    return [refusal for refusal, _size, _warned in answers]


@given(mixtures(), st.integers(1, 60))
def test_mixture_when_it_is_decided_in_batches(entries: list[bytes], size: int) -> None:
    """Good, overdrawn, repeated, badly signed, promised, suspended, rotated, other kinds: as entry by entry."""
    assert_same(entries, size)


def many(payer: str, payee: str, count: int, amount_mc: int = 1, memo: str = "") -> list[bytes]:
    """Transfers that differ in their memo."""
    return [testing.pay(payer, payee, amount_mc, f"{memo} {number}") for number in range(count)]


def taken(entries: list[bytes]) -> list[int]:
    """How many transfers are made together from each row on at which the caller arrives."""
    state = village_state()
    read = batch.read(entries)
    list(Threads().ahead(state, [(None, read)]))
    together, row, found = Together(state, read), 0, []
    while row < len(entries):
        found.append(len(together.take(row)))
        row += found[-1] or 1
    return found


def test_stretch_when_all_is_well() -> None:
    """Made at once."""
    assert taken(many("ben", "ana", STRETCH_MIN)) == [STRETCH_MIN]


def test_stretch_when_it_is_short() -> None:
    """One by one."""
    assert taken(many("ben", "ana", STRETCH_MIN - 1)) == [0] * (STRETCH_MIN - 1)


def test_stretch_when_one_of_it_is_bad() -> None:
    """What lies before and after is made at once all the same."""
    bad = testing.pay("cleo", "ben", 101)
    entries = [*many("ben", "ana", 10, memo="a"), bad, *many("ben", "ana", 10, memo="b")]
    assert taken(entries) == [10, 0, 10]
    assert assert_same(entries, 50) == [*[None] * 10, Refusal.INSUFFICIENT_FUNDS, *[None] * 10]


def test_stretch_when_its_payer_runs_out_in_the_middle() -> None:
    """ben has 100: none of his twelve payments is made in columns, and the ninth is refused."""
    entries = many("ben", "ana", 12, 12)
    assert taken(entries) == [0] * 12
    assert assert_same(entries, 50) == [*[None] * 8, *[Refusal.INSUFFICIENT_FUNDS] * 4]


def test_stretch_when_its_payer_is_suspended_before_it() -> None:
    """The batch was read when all was well; the stretch is judged again."""
    stop = testing.status(Subject.MEMBER, "ben", Status.SUSPENDED)
    entries = [*many("ben", "ana", 9, memo="a"), stop, *many("ben", "ana", 9, memo="b")]
    assert assert_same(entries, 50) == [*[None] * 10, *[Refusal.SUSPENDED] * 9]


def test_stretch_when_an_id_stands_there_twice() -> None:
    """The second is a conflict, though both were read before either was made."""
    twice = [
        testing.signed(Transfer(*map(testing.account, ("ben", "ana")), n, ""), "ben", entry_id="x") for n in (1, 2)
    ]
    entries = [*many("ben", "ana", 9, memo="a"), *twice, *many("ben", "ana", 9, memo="b")]
    assert assert_same(entries, 50) == [*[None] * 10, Refusal.CONFLICT, *[None] * 9]


def test_stretch_when_amounts_are_enormous() -> None:
    """Sums over a batch do not overflow: such amounts go one by one."""
    entries = [*many("ben", "ana", 4, INT64_MAX), *many("ben", "ana", 9)]
    assert assert_same(entries, 50) == [*[Refusal.INSUFFICIENT_FUNDS] * 4, *[None] * 9]


def test_payments_when_more_are_made_than_can_be_reversed() -> None:
    """Which ones are forgotten does not depend on how many were made together."""
    ids = [number.to_bytes(16, "big") for number in range(2 * REVERSIBLE_HALF + 7)]
    moved = [Moved((), number) for number in range(len(ids))]
    together, one_at_a_time = State(), State()
    together.remember_paid(ids[:5], moved[:5])
    together.remember_paid(ids[5:], moved[5:])
    for entry_id, row in zip(ids, moved, strict=True):
        one_at_a_time.remember_paid([entry_id], [row])
    assert len(together.paid) == 7
    assert (together.paid, together.paid_before) == (one_at_a_time.paid, one_at_a_time.paid_before)


def test_ids_when_they_are_taken_together() -> None:
    """The chain over them is the same."""
    ids = [number.to_bytes(16, "big") for number in range(1000)]
    together, one_at_a_time = EntryIds(), EntryIds()
    together.add_many(ids[:300])
    together.add_many(ids[300:])
    for number, entry_id in enumerate(ids):
        assert number % 100 or one_at_a_time.chain not in (together.chain, bytes(32))
        one_at_a_time.add(entry_id)
    assert together.chain == one_at_a_time.chain


@pytest.mark.parametrize("size", [1, 40, 500])
def test_log_when_it_is_read_in_batches(size: int, tmp_path: Path) -> None:
    """Admissions, mints and transfers in one log: the reader comes to the same state with columns and without."""
    with testing.village(tmp_path, *NAMES) as sequencer:
        for window in range(3):
            testing.mint(
                sequencer,
                [testing.earned(name, 2000, window=window) for name in NAMES],
                run=f"run {window}",
                window=window,
            )
            sequencer.submit(many("ana", "ben", 30, memo=str(window)))
        digest = sequencer.state.digest()
        entries = [sequencer.entry(place) for place in range(sequencer.size)]
    reader = LogReader()
    batches = (batch.read(entries[start : start + size]) for start in range(0, len(entries), size))
    for read in Threads().ahead(reader.state, ((read, read) for read in batches)):
        assert reader.read(read.entries, list(map(merkle.leaf_hash, read.entries)), read)
    assert reader.finish()
    assert reader.state.digest() == digest


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
