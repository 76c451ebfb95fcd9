"""A start from the saved state is a start from nothing, only sooner; and it works whatever is wrong with the file."""

import shutil
from pathlib import Path

import pytest

from commonwatt.identity import SigningKey
from ledger import app, saved, testing
from ledger.log.note import Signer
from ledger.saved import FILE, SavedState
from ledger.sequencer import Placed, Refused, Sequencer

NAMES = [f"member {number}" for number in range(8)]
LEAVES = saved.ENTRIES_MIN


def reopen(directory: Path) -> Sequencer:
    return app.open_parts(directory, Signer(testing.ORIGIN, testing.LOG_KEY))


def earn(ledger: Sequencer, windows: range) -> None:
    """Mint-runs, a window each."""
    for window in windows:
        leaves = [testing.earned(name, 900, 100, window=window) for name in NAMES]
        assert isinstance(testing.mint(ledger, leaves, run=f"run {window}", window=window), Placed)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that was worth saving: people, meters, many mints, some payments."""
    directory = tmp_path_factory.mktemp("village")
    with testing.village(directory, *NAMES) as ledger:
        ledger.submit([testing.site("home", NAMES[0]), testing.device("meter", "home"), testing.gateway("cupboard")])
        earn(ledger, range(LEAVES // len(NAMES)))
        ledger.submit([testing.pay(NAMES[0], NAMES[1], 5, f"{number}") for number in range(20)])
        ledger.publish()
    assert (directory / FILE).exists()
    return directory


@pytest.fixture
def village(lived: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(lived, tmp_path / "village")


def without_saved(directory: Path) -> bytes:
    """The digest of the state after everything was read; the file is as before."""
    path = directory / FILE
    kept = path.read_bytes()
    path.unlink()
    with reopen(directory) as ledger:
        digest = ledger.state.digest()
    path.write_bytes(kept)
    return digest


def read_from(directory: Path, caplog: pytest.LogCaptureFixture) -> tuple[bytes, bool]:
    """The digest after a start, and whether it began with the saved state."""
    caplog.clear()
    with reopen(directory) as ledger:
        return ledger.state.digest(), "the whole log is read" not in caplog.text


def test_a_start_when_a_state_was_saved(village: Path, caplog: pytest.LogCaptureFixture):
    """The same state as from the beginning; and it goes on: further entries, known ids, the next start."""
    assert read_from(village, caplog) == (without_saved(village), True)
    with reopen(village) as ledger:
        size = ledger.size
        again = testing.pay(NAMES[0], NAMES[1], 5, "3")
        (repeated,) = ledger.submit([again])
        assert isinstance(repeated, Placed)
        assert repeated.is_repeat
        (revoked,) = ledger.submit([testing.device("meter", "home")])
        assert isinstance(revoked, Placed)
        assert revoked.is_repeat
        (other,) = ledger.submit([testing.signed(testing.POLICY, "steward", "townhall", entry_id="again")])
        assert isinstance(other, Refused)
        earn(ledger, range(1000, 1010))
        ledger.publish()
        assert ledger.size == size + 10 * (len(NAMES) + 1)
    assert read_from(village, caplog) == (without_saved(village), True)


def test_the_state_when_little_is_new(village: Path):
    """It is not written again for a few entries, nor before they are published."""
    before = (village / FILE).read_bytes()
    with reopen(village) as ledger:
        earn(ledger, range(1000, 1001))
        ledger.publish()
    assert (village / FILE).read_bytes() == before
    with reopen(village) as ledger:
        earn(ledger, range(2000, 2000 + LEAVES // len(NAMES)))
    assert (village / FILE).read_bytes() == before
    with reopen(village) as ledger:
        ledger.publish()
        earn(ledger, range(3000, 3001))
        ledger.publish()
    assert (village / FILE).read_bytes() != before


def test_the_file_when_it_was_changed(village: Path, caplog: pytest.LogCaptureFixture):
    """Cut, or with any byte flipped, it does not count, and everything is read."""
    whole, expected = (village / FILE).read_bytes(), without_saved(village)
    places = (0, 30, 70, len(whole) // 2, len(whole) - 1)
    changed = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
    for data in (b"", whole[:20], whole[:-1], whole + b"x", *changed):
        (village / FILE).write_bytes(data)
        assert read_from(village, caplog) == (expected, False)


def test_the_file_when_a_crash_left_half_of_a_new_one(village: Path, caplog: pytest.LogCaptureFixture):
    """What stands counts, and the half is written over by the next."""
    half = village / (FILE + ".new")
    half.write_bytes((village / FILE).read_bytes()[:5000])
    assert read_from(village, caplog)[1]
    with reopen(village) as ledger:
        earn(ledger, range(1000, 1000 + LEAVES // len(NAMES)))
        ledger.publish()
    assert not half.exists()
    assert read_from(village, caplog) == (without_saved(village), True)


def test_the_file_when_another_key_wrote_it(village: Path, caplog: pytest.LogCaptureFixture):
    """Who can write here but has not the log's key cannot make a member rich."""
    with reopen(village) as ledger:
        expected = ledger.state.digest()
        forged = SavedState(village / FILE, SigningKey.generate())
        ledger.state.book.accounts.credits_mc[3] += 10**9
        forged.save(saved.Saved(ledger.state, ledger._tree, ledger._signed))
    assert read_from(village, caplog) == (expected, False)


def test_the_state_when_it_is_of_another_history(tmp_path: Path, village: Path, caplog: pytest.LogCaptureFixture):
    """A store that ends otherwise, or is shorter than what was saved, is read for itself."""
    other = tmp_path / "other"
    with testing.village(other, *NAMES) as ledger:
        earn(ledger, range(5000, 5000 + LEAVES // len(NAMES) + 5))
        ledger.publish()
        expected = ledger.state.digest()
    (other / FILE).write_bytes((village / FILE).read_bytes())
    assert read_from(other, caplog) == (expected, False)
    short = tmp_path / "short"
    with testing.village(short, *NAMES) as ledger:
        ledger.publish()
        expected = ledger.state.digest()
    (short / FILE).write_bytes((village / FILE).read_bytes())
    assert read_from(short, caplog) == (expected, False)


def test_the_state_when_it_cannot_be_written(village: Path, caplog: pytest.LogCaptureFixture):
    """The ledger closes all the same, and the next start reads everything."""
    (village / FILE).unlink()
    (village / (FILE + ".new")).mkdir()
    with reopen(village) as ledger:
        expected = ledger.state.digest()
    assert "the state is not saved" in caplog.text
    assert read_from(village, caplog)[0] == expected


def test_the_rules_when_any_file_that_decides_was_changed(tmp_path: Path):
    """Another byte in the book, in the tree, in encoding, signatures, keys or units: those are other rules."""
    paths = saved.rules_files()
    beside = {"merkle.py", "cbor.py", "cose.py", "identity.py", "units.py", "rules.py", "state.py", "mint_bulk.py"}
    assert beside <= {path.name for path in paths}
    copies = [tmp_path / str(number) for number in range(len(paths))]
    for path, copy in zip(paths, copies, strict=True):
        shutil.copy(path, copy)
    assert saved.source_sha256(copies) == saved.rules_sha256()
    for copy in copies:
        before = copy.read_bytes()
        copy.write_bytes(before + b"\n")
        assert saved.source_sha256(copies) != saved.rules_sha256()
        copy.write_bytes(before)
