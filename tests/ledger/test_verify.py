"""The auditor finds every change in a copied log, names its place, and believes nothing it was not asked to."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import app, testing
from ledger.audit.verify import Mode, verify
from ledger.book.body import Transfer
from ledger.log import merkle
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Signer
from ledger.log.note import sign as sign_note
from ledger.log.tiles import TileTree

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)
LOG = SIGNER.verifier
SEED = 20_240_716
MODES = list(Mode)


def write_log(directory: Path, runs: int, *, publish_every: int) -> Path:
    with testing.village(directory, "ana", "ben") as ledger:
        for window in range(runs):
            leaves = [testing.earned(name, 900, 100, window=window) for name in ("ana", "ben")]
            testing.mint(ledger, leaves, run=f"run {window}", window=window)
            ledger.submit([testing.pay("ana", "ben", 10, memo=str(window))])
            if window % publish_every == 0:
                ledger.publish()
        ledger.publish()
    return directory / "log"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 14 entries with partial tiles of three sizes."""
    return write_log(tmp_path_factory.mktemp("small"), 2, publish_every=1)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with two full tiles, a second level, and partial tiles of several sizes."""
    return write_log(tmp_path_factory.mktemp("large"), 160, publish_every=9)


@pytest.fixture
def copy(tmp_path: Path, large: Path) -> Path:
    """A copy of the large log that a test may damage."""
    return Path(shutil.copytree(large, tmp_path / "log"))


@pytest.mark.parametrize("mode", MODES)
def test_log_when_untouched(large: Path, mode: Mode) -> None:
    """A good log is good in both modes, and every entry was read."""
    report = verify(large, LOG, mode=mode)
    assert report.problems == []
    assert report.is_good
    assert report.checkpoint is not None
    assert report.entries == report.checkpoint.size > 512


def test_audit_when_compared_to_the_store(large: Path) -> None:
    """The auditor's state, from the files alone, is the sequencer's."""
    report = verify(large, LOG, mode=Mode.AUDIT)
    with app.open_parts(large.parent, SIGNER) as ledger:
        assert report.state is not None
        assert report.state.digest() == ledger.state.digest()


def files_of(log: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(log.rglob("*")):
        if path.is_file():
            yield path.relative_to(log).as_posix(), path


def assert_found(log: Path, name: str, path: Path, at: int, flip: int, mode: Mode) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
    report = verify(log, LOG, mode=mode)
    path.write_bytes(data)
    named = {problem.file for problem in report.problems}
    assert not report.is_good, f"{name}, byte {at}, {mode}: not found"
    assert named == {name}, f"{name}, byte {at}, {mode}: {report.problems}"


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_byte_when_flipped_anywhere(tmp_path: Path, small: Path, every: int) -> None:
    """Every (fifth) byte of every file of a small log: a flipped bit is found, and that file alone is named."""
    log = Path(shutil.copytree(small, tmp_path / "log"))
    random_ = random.Random(SEED)
    for name, path in files_of(log):
        for at in range(random_.randrange(every), path.stat().st_size, every):
            assert_found(log, name, path, at, 1 << random_.randrange(8), Mode.PUBLIC)
        for at in random_.sample(range(path.stat().st_size), 10):
            assert_found(log, name, path, at, 1 << random_.randrange(8), Mode.AUDIT)


def test_byte_when_flipped_in_a_large_log(copy: Path) -> None:
    """The same, sampled over full tiles, higher levels and partial tiles."""
    random_ = random.Random(SEED)
    print(f"seed {SEED}")
    for name, path in files_of(copy):
        for at in random_.sample(range(path.stat().st_size), 2):
            assert_found(copy, name, path, at, 1 << random_.randrange(8), random_.choice(MODES))


@pytest.mark.parametrize("mode", MODES)
def test_file_when_deleted(copy: Path, mode: Mode) -> None:
    """A file that the checkpoint needs is missed by name; an old partial tile is nobody's loss."""
    for name, path in files_of(copy):
        if name == "checkpoint" or (".p/" in name and path != widest(path)):
            continue
        data = path.read_bytes()
        path.unlink()
        report = verify(copy, LOG, mode=mode)
        path.write_bytes(data)
        assert [problem.file for problem in report.problems] == [name]


def widest(partial: Path) -> Path:
    return max(partial.parent.iterdir(), key=lambda path: int(path.name))


UNKNOWN = ["notes.txt", "tile/0/7", "tile/0/000.p/0", "tile/0/x000/000", "tile/entries/009", "tile/64/000"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_file_when_unknown(copy: Path, name: str) -> None:
    """A file that no log has, or that lies beyond the checkpoint, is a problem unless the reader is lenient."""
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(b"")
    assert [problem.file for problem in verify(copy, LOG, mode=Mode.PUBLIC).problems] == [name]
    assert verify(copy, LOG, mode=Mode.PUBLIC, lenient=True).is_good


def test_signature_when_of_an_unknown_key(copy: Path) -> None:
    """A second signature by a stranger is a problem unless the reader is lenient."""
    checkpoint = copy / "checkpoint"
    text = checkpoint.read_text().partition("\n\n")[0] + "\n"
    stranger = sign_note(text, Signer("stranger.example", testing.key("stranger"))).partition("\n\n")[2]
    checkpoint.write_text(checkpoint.read_text() + stranger)
    (problem,) = verify(copy, LOG, mode=Mode.PUBLIC).problems
    assert "stranger.example" in problem.what
    assert verify(copy, LOG, mode=Mode.PUBLIC, lenient=True).is_good


def test_log_when_checked_with_another_key(large: Path) -> None:
    """Another log's key proves nothing about this one."""
    other = Signer(testing.ORIGIN, testing.key("another log")).verifier
    report = verify(large, other, mode=Mode.AUDIT)
    assert not report.is_good
    assert report.checkpoint is None


def publish_entries(directory: Path, entries: list[bytes], signer: Signer = SIGNER) -> Path:
    """What a log operator who keeps no rules would publish: any entries, properly hashed and signed."""
    tree = TileTree()
    for data in entries:
        tree.append(data, merkle.leaf_hash(data))
    for name, data in tree.partials().items():
        (directory / name.path).parent.mkdir(parents=True, exist_ok=True)
        (directory / name.path).write_bytes(data)
    (directory / "checkpoint").write_bytes(Checkpoint(signer.name, tree.size, tree.root()).sign(signer))
    return directory


FORGED_POLICY = testing.signed(testing.POLICY, "steward", "steward")
THEFT = testing.signed(Transfer(testing.ident("ana"), testing.ident("ben"), 5, ""), "ben")
MEMBERS = [testing.member("ana"), testing.member("ben")]


@pytest.mark.parametrize(
    ("entries", "mode", "place", "what"),
    [
        ([testing.GENESIS, FORGED_POLICY], Mode.PUBLIC, "entry 1", "quorum-not-reached"),
        ([testing.GENESIS, FORGED_POLICY], Mode.AUDIT, "entry 1", "quorum-not-reached"),
        ([testing.GENESIS, *MEMBERS, THEFT], Mode.AUDIT, "entry 3", "bad-signature"),
        ([testing.GENESIS, *MEMBERS, testing.pay("ana", "ben", 5)], Mode.AUDIT, "entry 3", "insufficient-funds"),
        ([testing.GENESIS, *MEMBERS, MEMBERS[0]], Mode.AUDIT, "entry 3", "conflict"),
        ([testing.GENESIS, MEMBERS[0], testing.earned("ana", 5).encode()], Mode.AUDIT, "entry 2", "without"),
        ([testing.GENESIS, b"garbage"], Mode.PUBLIC, "entry 1", "malformed"),
        ([MEMBERS[0]], Mode.PUBLIC, "entry 0", "misplaced"),
        ([MEMBERS[0]], Mode.AUDIT, "entry 0", "misplaced"),
    ],
)
def test_log_when_its_operator_breaks_a_rule(
    tmp_path: Path, entries: list[bytes], mode: Mode, place: str, what: str
) -> None:
    """Hashes and the log's signature are perfect; the first entry that breaks a rule is named all the same."""
    (problem,) = verify(publish_entries(tmp_path, entries), LOG, mode=mode).problems
    assert problem.place == place
    assert what in problem.what


@pytest.mark.parametrize("mode", MODES)
def test_log_when_another_commune_is_inside(tmp_path: Path, mode: Mode) -> None:
    """A log whose genesis entry founds another log is named."""
    signer = Signer("other.example/log", testing.key("other log"))
    (problem,) = verify(publish_entries(tmp_path, [testing.GENESIS], signer), signer.verifier, mode=mode).problems
    assert testing.ORIGIN in problem.what


def test_log_when_it_publishes_hashes_only(copy: Path) -> None:
    """Without bundles the tree is still checked in public mode; an audit misses them."""
    shutil.rmtree(copy / "tile" / "entries")
    report = verify(copy, LOG, mode=Mode.PUBLIC)
    assert report.is_good
    assert report.entries == 0
    assert not verify(copy, LOG, mode=Mode.AUDIT).is_good
