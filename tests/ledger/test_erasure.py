"""Erasing a person: the log goes on verifying, balances stay, and nothing of theirs is left."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commonwatt.errors import UserError
from commonwatt.identity import save_key
from commonwatt.registry import Status
from ledger import app, backup, cli, testing
from ledger.audit.mirror import mirror
from ledger.audit.verify import Mode, verify
from ledger.book import erased, mint_arrays, mint_bulk, rules
from ledger.book.body import CarryForward
from ledger.book.kinds import Subject
from ledger.book.measures import Carried
from ledger.book.reader import LogReader
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.log import merkle, tiles
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, TileName
from ledger.proof import make as proof_make
from ledger.saved import FILE, Saved, SavedState
from ledger.sequencer import Placed, Refused

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


def test_claim_when_its_account_was_erased(book: Any) -> None:
    """Which windows were minted is not known any more, so nothing is minted to an account without a holder."""
    lived(book)
    state = reread(without(slots_of(book), carry(book, "ana"))).state
    assert book.state.minted_until_s.get((testing.ident("ana"), 1)) > 0
    leaf = testing.earned("ana", 900, 100)
    assert rules.apply(state, leaf.encode(), state.size) is Refusal.UNKNOWN_ACCOUNT
    assert mint_bulk.credits_of(state, mint_arrays.from_leaves([leaf])) is None
    for name in ("ben", "association"):
        leaf = testing.earned(name, 900, 100, window=9)
        assert mint_bulk.credits_of(state, mint_arrays.from_leaves([leaf])) is not None


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


@pytest.fixture
def commune(tmp_path: Path) -> Path:
    """A commune on disk, in SQLite."""
    return settle(tmp_path)


def settle(tmp_path: Path) -> Path:
    """A commune in which ana earned, paid and was paid, and left; 300 more payments follow."""
    with testing.village(tmp_path, "ana", "ben", "eve") as ledger:
        ledger.submit([testing.site("farm", "ana"), testing.device("meter", "farm")])
        for window in range(3):
            testing.mint(
                ledger,
                [testing.earned(name, 900 + window, 99, window=window) for name in ("ben", "ana")],
                run=f"run {window}",
                window=window,
            )
            ledger.submit(
                [testing.pay("ana", "ben", 100, SECRET + str(window)), testing.pay("ben", "ana", 7, SECRET)]
            )
            ledger.publish()
        ledger.submit([testing.pay("ben", "eve", 1, str(number)) for number in range(300)])
        ledger.submit([testing.status(Subject.MEMBER, "ana", Status.REVOKED)])
        ledger.publish()
    (tmp_path / "keys").mkdir()
    for name in ("log", "steward", "townhall"):
        save_key(tmp_path / "keys" / f"{name}.key", testing.key(name))
    (tmp_path / "commune.toml").write_text(
        f'name = "testville"\norigin = "{testing.ORIGIN}"\ngenesis_sha256 = "{testing.GENESIS_SHA256.hex()}"\n'
        f'log_vkey = "{LOG.verifier}"\ntrial = true\nassociation = "{testing.ident("association").hex()}"\n'
    )
    return tmp_path


SECRET = "for the baby"
LOG = Signer(testing.ORIGIN, testing.LOG_KEY)


def run(*words: object) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def erase(commune: Path) -> str:
    keys = [word for name in ("steward", "townhall") for word in ("--key", commune / "keys" / f"{name}.key")]
    said = run("erase", commune, testing.ident("ana").hex(), "--reason", "asked for", *keys)
    place = said.split()[1]
    assert LOG_GOOD in verified(commune, Mode.AUDIT)
    return run("erase", commune, "--carry-out", place)


LOG_GOOD = "OK: "


def verified(commune: Path, mode: Mode) -> str:
    return run("verify", commune / "log", "--vkey", commune / "log.vkey", "--mode", mode.value)


def files(commune: Path) -> Iterator[Path]:
    """Everything that the commune's directory holds."""
    return (path for path in commune.rglob("*") if path.is_file())


def test_commune_when_a_person_is_erased(directory: Path) -> None:
    """The command leaves no trace in any file; both modes count the empty slots; balances and the ledger stand."""
    commune = settle(directory)
    before = run("balance", commune)
    assert any(SECRET.encode() in path.read_bytes() for path in files(commune))
    since = commune / "audit"
    run("verify", commune / "log", "--vkey", commune / "log.vkey", "--mode", "audit", "--save", since)
    assert "entries are erased" in erase(commune)
    for path in files(commune):
        data = path.read_bytes()
        if path != since:  # an auditor's own
            assert SECRET.encode() not in data, path
            assert testing.key("ana").public_key not in data, path
    for mode in Mode:
        assert "of them were erased" in verified(commune, mode)
    rows = {line.split()[0]: line.split()[1] for line in before.splitlines()}
    assert {line.split()[0]: line.split()[1] for line in run("balance", commune).splitlines()} == rows
    assert "erased" in run("show", commune)
    run("export", commune, "--format", "csv")
    assert "nothing" not in run(
        "verify", commune / "log", "--vkey", commune / "log.vkey", "--mode", "audit", "--since", since
    )
    assert "entries are erased" in run("erase", commune, "--carry-out", size(commune) - 1)
    with app.open_ledger(commune) as ledger:
        placed, refused = ledger.submit([testing.pay("ben", "eve", 2), testing.pay("ben", "ana", 7, SECRET)])
        assert isinstance(placed, Placed)
        assert refused == Refused(Refusal.UNKNOWN_ACCOUNT)


def size(commune: Path) -> int:
    return PublishedLog(commune / "log").unverified_checkpoint().size


def test_saved_state_when_a_person_is_erased(commune: Path) -> None:
    """What was kept of them for a quick start is gone before their entries are."""
    kept = commune / FILE
    with app.open_ledger(commune) as ledger:
        SavedState(kept, testing.LOG_KEY).save(Saved(ledger.state, ledger._tree, ledger._signed))
    assert testing.key("ana").public_key in kept.read_bytes()
    erase(commune)
    assert not kept.exists()


def test_bundle_when_somebody_else_empties_a_slot(commune: Path) -> None:
    """An operator who hides an entry without a carry-forward is found out by name."""
    erase(commune)
    name = TileName(ENTRIES, 0)
    entries = tiles.parse_bundle((commune / "log" / name.path).read_bytes())
    place = entries.index(testing.member("ben"))
    entries[place] = b""
    (commune / "log" / name.path).write_bytes(tiles.encode_bundle(entries))
    report = verify(commune / "log", LOG.verifier, mode=Mode.AUDIT)
    assert not report.is_good
    assert "refused" in str(report.problems[0])


def test_mirror_when_the_original_was_erased(commune: Path, tmp_path: Path) -> None:
    """A mirror made after the erasure is as good as the log; one made before goes on with what it holds."""
    old = commune / "old"
    mirror(PublishedLog(commune / "log"), old, LOG.verifier)
    erase(commune)
    for target in (old, commune / "new"):
        mirror(PublishedLog(commune / "log"), target, LOG.verifier)
        assert verify(target, LOG.verifier, mode=Mode.AUDIT, lenient=True).is_good, target
    with pytest.raises(UserError, match="was erased"):
        proof_make.prove(PublishedLog(commune / "log"), 3)


def test_backup_when_the_original_was_erased(commune: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The next backup empties what was erased, also in what it had copied; restored, the person stays erased."""
    kept = tmp_path_factory.mktemp("kept")
    backup.back_up(commune, kept)
    assert any(SECRET.encode() in path.read_bytes() for path in files(kept))
    erase(commune)
    backup.back_up(commune, kept)
    assert not any(SECRET.encode() in path.read_bytes() for path in files(kept))
    assert verify(kept / "log", LOG.verifier, mode=Mode.AUDIT).is_good
    new = tmp_path_factory.mktemp("new")
    assert backup.restore(kept, new).size == size(commune)
    with app.open_parts(new, LOG) as ledger, app.open_parts(commune, LOG) as other:
        assert ledger.state.digest() == other.state.digest()


def test_backup_when_somebody_empties_a_slot(commune: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Emptying the log is no way to empty its backup: without a carry-forward nothing is taken out."""
    kept = tmp_path_factory.mktemp("kept")
    backup.back_up(commune, kept)
    name = TileName(ENTRIES, 0)
    entries = tiles.parse_bundle((commune / "log" / name.path).read_bytes())
    entries[entries.index(testing.member("ben"))] = b""
    (commune / "log" / name.path).write_bytes(tiles.encode_bundle(entries))
    before = {path: path.read_bytes() for path in files(kept)}
    with pytest.raises(UserError, match="damaged"):
        backup.back_up(commune, kept)
    assert {path: path.read_bytes() for path in files(kept)} == before


def test_erase_when_they_are_named_again_after_the_carry_forward(commune: Path) -> None:
    """Nothing is emptied that an entry after the carry-forward still needs; a second one takes that along."""
    keys = [word for name in ("steward", "townhall") for word in ("--key", commune / "keys" / f"{name}.key")]
    announce = ["erase", commune, testing.ident("ana").hex(), "--reason", "asked for", *keys]
    place = run(*announce).split()[1]
    with app.open_ledger(commune) as ledger:
        (late,) = ledger.submit([testing.status(Subject.DEVICE, "meter", Status.REVOKED)])
        assert isinstance(late, Placed)
        leaves = [testing.earned(name, 5, window=9) for name in ("ana", "eve")]
        assert isinstance(testing.mint(ledger, leaves, run="run 9", window=9), Placed)
        ledger.publish()
    before = {path: path.read_bytes() for path in files(commune) if path.suffix != ".db"}
    with pytest.raises(UserError, match=f"entry {late.place} still needs"):
        CliRunner().invoke(
            cli.app, ["erase", str(commune), "--carry-out", place], catch_exceptions=False, standalone_mode=False
        )
    assert {path: path.read_bytes() for path in files(commune) if path.suffix != ".db"} == before
    place = run(*announce).split()[1]
    assert "entries are erased" in run("erase", commune, "--carry-out", place)
    assert LOG_GOOD in verified(commune, Mode.AUDIT)
    for path in files(commune):
        assert SECRET.encode() not in path.read_bytes(), path


def test_erase_when_it_may_not_be(commune: Path) -> None:
    """Each refusal says why, and the log stays as it was."""
    before, ana = size(commune), testing.ident("ana").hex()
    refused = {
        "no carry-forward": ["--carry-out", "3"],
        "9999 is no carry-forward": ["--carry-out", "9999"],
        "keys that sign": [ana],
        "not-revoked": [testing.ident("ben").hex(), "--key", "steward.key", "--key", "townhall.key"],
        "quorum-not-reached": [ana, "--key", "steward.key"],
        "nothing in the log": [testing.ident("nobody").hex(), "--key", "steward.key"],
    }
    for why, words in refused.items():
        there = [str(commune / "keys" / word) if word.endswith(".key") else word for word in words]
        with pytest.raises(UserError, match=why):
            CliRunner().invoke(
                cli.app, ["erase", str(commune), *there], catch_exceptions=False, standalone_mode=False
            )
    assert size(commune) == before
