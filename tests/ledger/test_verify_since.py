"""An audit that goes on reads as the full audit does, in columns and beside it in processes, and finds the same."""

import copy
from pathlib import Path

import pytest

from ledger import signatures, testing
from ledger.audit.verify import Mode, Report, verify
from ledger.audit.verify_since import Saved, verify_since
from ledger.book import rules
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.log import merkle
from ledger.log.note import Signer
from ledger.log.publish import Publisher
from ledger.log.published import PublishedLog
from ledger.log.tiles import TileTree

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)
NAMES = tuple(f"member {number}" for number in range(20))
SAVED_SIZE = 100
"""In the middle of a bundle."""


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """So many after the saved ones that other processes verify them: payments, mint-runs, an admission between."""
    with testing.village(tmp_path_factory.mktemp("village"), *NAMES) as ledger:
        testing.mint(ledger, [testing.earned(name, 10_000) for name in NAMES])
        ledger.submit([testing.pay(NAMES[0], NAMES[1], 1, f"before {number}") for number in range(SAVED_SIZE)])
        testing.mint(ledger, [testing.earned(name, 10, window=1) for name in NAMES], run="second", window=1)
        ledger.submit([testing.member("late"), testing.pay(NAMES[0], "late", 5), testing.pay("late", NAMES[1], 1)])
        for first in range(0, signatures.LOG_ENTRIES_MIN, 500):
            ledger.submit([testing.pay(NAMES[2], NAMES[3], 1, str(first + at)) for at in range(500)])
        return [ledger.entry(place) for place in range(ledger.size)]


def publish(directory: Path, entries: list[bytes]) -> PublishedLog:
    """A log of these entries that its key has signed, whatever the rules say of them."""
    publisher, tree = Publisher(directory, SIGNER), TileTree()
    for data in entries:
        tree.append(data, merkle.leaf_hash(data))
    publisher.begin(tree)
    publisher.publish(tree)
    publisher.close()
    return PublishedLog(directory)


def saved(directory: Path, entries: list[bytes]) -> Saved:
    """What the auditor kept of the beginning."""
    log = publish(directory, entries[:SAVED_SIZE])
    state = State()
    for place, data in enumerate(entries[:SAVED_SIZE]):
        assert not isinstance(rules.apply(state, data, place, merkle.leaf_hash(data)), Refusal)
    return Saved(log.checkpoint_bytes(), state)


def both(directory: Path, entries: list[bytes]) -> tuple[Report, Report]:
    """The audit from the beginning, and the one that goes on."""
    kept = saved(directory / "log", entries)
    log = publish(directory / "log", entries)
    full = verify(log, SIGNER.verifier, mode=Mode.AUDIT, lenient=True)
    return full, verify_since(log, SIGNER.verifier, kept)


def test_audit_when_much_is_new(tmp_path: Path, entries: list[bytes]) -> None:
    """The state, the entries read and the head are the same as from the beginning."""
    full, since = both(tmp_path, entries)
    assert full.is_good
    assert since.is_good
    assert since.entries == full.entries - SAVED_SIZE == len(entries) - SAVED_SIZE
    assert full.state is not None
    assert since.state is not None
    assert since.state.digest() == full.state.digest()


def one_by_one(state: State, entries: list[bytes]) -> str:
    """The first entry that rules.py refuses, and why."""
    for place, data in enumerate(entries[state.size :], state.size):
        answer = rules.apply(state, data, place, merkle.leaf_hash(data))
        if isinstance(answer, Refusal):
            return f"entry {place}: refused: {answer.label}"
    return ""


def forged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("place", [SAVED_SIZE, 131, 145, 160, 256, 299])
@pytest.mark.parametrize("wrong", [forged, lambda _data: b"rubbish"])
def test_audit_when_an_entry_is_refused(tmp_path: Path, entries: list[bytes], place: int, wrong) -> None:
    """The same first entry is named with the same reason, wherever it stands; so does reading one by one."""
    bad = [*entries[:place], wrong(entries[place]), *entries[place + 1 : 300]]
    state = copy.deepcopy(saved(tmp_path / "beginning", entries).state)
    full, since = both(tmp_path, bad)
    assert since.problems == full.problems
    (problem,) = since.problems
    assert f"{problem.place}: {problem.what}" == one_by_one(state, bad)
    assert since.entries == full.entries - SAVED_SIZE
    assert since.state is None


def test_audit_when_the_log_ends_between_leaves_and_their_run(tmp_path: Path, entries: list[bytes]) -> None:
    """It is named where the leaves begin, as the full audit does."""
    end = next(place for place in range(SAVED_SIZE, 300) if entries[place + 1][0] == entries[24][0])
    full, since = both(tmp_path, entries[: end + 5])
    assert since.problems == full.problems
    assert [problem.place for problem in since.problems] == [f"entry {end + 1}"]


def test_audit_when_a_refused_entry_stands_before_a_changed_one(tmp_path: Path, entries: list[bytes]) -> None:
    """The first of the two is named, though both are read together."""
    bad = [*entries[:120], forged(entries[120]), *entries[121:400]]
    kept = saved(tmp_path / "log", entries)
    log = publish(tmp_path / "log", bad)
    bundle = log.root / "tile/entries/001.p" / str(400 - 256)
    bundle.write_bytes(forged(bundle.read_bytes()))
    (problem,) = verify_since(log, SIGNER.verifier, kept).problems
    assert problem.place == "entry 120"
