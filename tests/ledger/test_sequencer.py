"""One write path: answers that can be asked again, and nothing half done when the disk or the process fails."""

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from commonwatt.errors import StorageError
from ledger import app, testing
from ledger import settings as ledger_settings
from ledger.book.body import Transfer
from ledger.book.refusals import Refusal
from ledger.book.replay import replay
from ledger.log.note import Signer
from ledger.sequencer import COMMIT_ENTRIES_MAX, Placed, Refused, Sequencer
from ledger.store.schema import metadata

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)
SEED = 20_240_715


def reopen(directory: Path, **limits: Any) -> Sequencer:
    return app.open_parts(directory, SIGNER, **limits)


def funded(directory: Path) -> Sequencer:
    """Ana has 10 credits, and the log 7 entries."""
    sequencer = testing.village(directory, "ana", "ben")
    testing.mint(sequencer, [testing.earned("ana", 10_000, 1000)])
    return sequencer


def test_entry_when_submitted_again(directory: Path) -> None:
    """The same bytes are answered with their first place, in one call, in another, and after a restart."""
    data = testing.pay("ana", "ben", 5)
    with funded(directory) as ledger:
        place = ledger.size
        assert ledger.submit([data, data]) == [Placed(place), Placed(place, is_repeat=True)]
        assert ledger.submit([data]) == [Placed(place, is_repeat=True)]
    with reopen(directory) as ledger:
        assert ledger.submit([data]) == [Placed(place, is_repeat=True)]
        assert ledger.state.book.balance_mc(testing.ident("ben")) == 5


def test_entry_when_its_id_is_taken(directory: Path) -> None:
    """Other bytes under a known id are a conflict that names the first place."""
    first, second = (
        testing.signed(Transfer(testing.ident("ana"), testing.ident("ben"), amount_mc, ""), "ana", entry_id="one")
        for amount_mc in (5, 6)
    )
    with funded(directory) as ledger:
        place = ledger.size
        conflict = Refused(Refusal.CONFLICT, place=place)
        assert ledger.submit([first, second]) == [Placed(place), conflict]
        assert ledger.submit([second, first]) == [conflict, Placed(place, is_repeat=True)]
        assert ledger.state.book.balance_mc(testing.ident("ben")) == 5


def test_batch_when_one_is_refused(directory: Path) -> None:
    """A refused entry leaves the others of its batch untouched."""
    with funded(directory) as ledger:
        place = ledger.size
        good = [testing.pay("ana", "ben", number) for number in (1, 2)]
        bad = [testing.pay("ben", "ana", 999_999), b"garbage", testing.earned("ana", 1).encode()]
        answers = ledger.submit([good[0], *bad, good[1]])
        assert answers == [
            Placed(place),
            Refused(Refusal.INSUFFICIENT_FUNDS),
            Refused(Refusal.MALFORMED),
            Refused(Refusal.MISPLACED),
            Placed(place + 1),
        ]


def test_batch_when_larger_than_a_commit(directory: Path) -> None:
    """More entries than one commit holds are placed in order all the same."""
    with funded(directory) as ledger:
        place = ledger.size
        count = COMMIT_ENTRIES_MAX + 1
        answers = ledger.submit([testing.pay("ana", "ben", 1, memo=str(number)) for number in range(count)])
        assert answers == [Placed(place + number) for number in range(count)]


def test_run_when_asked_again(directory: Path) -> None:
    """The same leaves under a known run id are answered with the first place; others are a conflict."""
    leaves = [testing.earned("ana", 7, window=1), testing.earned("ben", 8, window=1)]
    with funded(directory) as ledger:
        place = ledger.size + 2
        assert testing.mint(ledger, leaves, run="one", window=1) == Placed(place)
        assert testing.mint(ledger, leaves, run="one", window=1) == Placed(place, is_repeat=True)
        assert testing.mint(ledger, leaves[:1], run="one", window=1) == Refused(Refusal.CONFLICT, place=place)
        assert testing.mint(ledger, leaves, run="two", window=1) == Refused(Refusal.WINDOW_MINTED, leaf=0)
        transfer = testing.pay("ana", "ben", 5)
        assert ledger.submit([transfer]) == [Placed(place + 1)]


def test_run_when_a_leaf_is_refused(directory: Path) -> None:
    """One bad leaf refuses the whole run, names the leaf, and leaves no trace."""
    with funded(directory) as ledger:
        size, digest = ledger.size, ledger.state.digest()
        leaves = [testing.earned("ana", 7, window=1), testing.earned("nobody", 8, window=1)]
        assert testing.mint(ledger, leaves, run="one", window=1) == Refused(Refusal.UNKNOWN_ACCOUNT, leaf=1)
        assert testing.mint(ledger, [], run="one", window=1) == Refused(Refusal.RUN_RANGE)
        assert (ledger.size, ledger.state.size, ledger.state.digest()) == (size, size, digest)
        assert testing.mint(ledger, leaves[:1], run="one", window=1) == Placed(size + 1)


def test_ledger_when_opened_twice(directory: Path) -> None:
    """A second process is told at once that the ledger is open, and changes nothing."""
    script = (
        "from pathlib import Path; from ledger import app, testing; from ledger.log.note import Signer\n"
        f"app.open_parts(Path({str(directory)!r}), Signer(testing.ORIGIN, testing.LOG_KEY))"
    )
    with funded(directory) as ledger:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert "InUseError" in done.stderr
        assert "open in another process" in done.stderr
        assert ledger.submit([testing.pay("ana", "ben", 1)]) == [Placed(ledger.size - 1)]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_submit_when_the_disk_is_full(tmp_path: Path) -> None:
    """A commit that finds no room stops the ledger; what was answered is there, the rest is nowhere."""
    with funded(tmp_path) as ledger:
        start = ledger.size
    pages = (tmp_path / "ledger.db").stat().st_size // 4096
    placed: list[bytes] = []
    entries = [testing.pay("ana", "ben", 1, memo=f"{number} {'m' * 200}") for number in range(400)]
    with reopen(tmp_path, pages_max=pages + 12) as ledger:
        with pytest.raises(StorageError, match="full"):  # noqa: PT012 it is not known in which round
            for first in range(0, len(entries), 20):
                ledger.submit(entries[first : first + 20])
                placed += entries[first : first + 20]
        with pytest.raises(StorageError):
            ledger.submit(entries[:1])
        with pytest.raises(StorageError):
            ledger.publish()
    assert 0 < len(placed) < len(entries)
    with reopen(tmp_path) as ledger:
        assert ledger.size == start + len(placed)
        answers = ledger.submit(entries)
        assert answers[: len(placed)] == [Placed(start + i, is_repeat=True) for i in range(len(placed))]
        assert ledger.size == start + len(entries)


WRITER = """
import sys
from pathlib import Path
from ledger import app, testing
from ledger.log.note import Signer
ledger = app.open_parts(Path(sys.argv[1]), Signer(testing.ORIGIN, testing.LOG_KEY))
start = int(sys.argv[2])
for number in range(start, start + 1000):
    leaves = [testing.earned(name, 10, 1, window=number + 1) for name in ("ana", "ben")]
    answers = [testing.mint(ledger, leaves, run=f"run {number}", window=number + 1)]
    answers += ledger.submit([testing.pay("ana", "ben", 1, memo=f"{number} {i}") for i in range(3)])
    print(number, *(answer.place for answer in answers), flush=True)
    ledger.publish()
"""


def test_writer_when_killed(directory: Path) -> None:
    """A real writer is killed at seeded moments; every answered entry is there, no run is half there."""
    random_ = random.Random(SEED)
    print(f"seed {SEED}")
    funded(directory).close()
    number = 0
    for _ in range(4):
        answered = random_.randrange(1, 12)
        command = [sys.executable, "-c", WRITER, str(directory), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline().split() for _ in range(answered)]
            for _ in range(random_.randrange(20_000)):
                pass  # somewhere inside the next commit or publication
            writer.send_signal(signal.SIGKILL)
            lines += [line.split() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        with reopen(directory) as ledger:
            for line in lines:
                assert all(int(place) < ledger.size for place in line[1:])
            state = replay(ledger.entry(place) for place in range(ledger.size))
            assert state.digest() == ledger.state.digest()
            earned = ledger.state.minted_until_s[testing.ident("ana"), 1]
            assert earned == ledger.state.minted_until_s[testing.ident("ben"), 1]
            assert ledger.checkpoint is not None
            assert ledger.checkpoint.size == ledger.size
        number = (earned - testing.TIME_S) // testing.WINDOW_S - 1


def database(directory: Path) -> sa.Engine:
    """The ledger's database as anyone opens it who has its password."""
    url = ledger_settings.load(directory).store or f"sqlite:///{directory / 'ledger.db'}"
    return sa.create_engine(url, poolclass=sa.NullPool)


def edit(directory: Path, statement: str, **values: Any) -> None:
    with database(directory).begin() as connection:
        connection.execute(sa.text(statement), values)


def everything(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables: what a backup of the database holds."""
    with database(directory).begin() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for table in metadata.sorted_tables
        }


def put_back(directory: Path, backup: dict[str, list[dict[str, Any]]]) -> None:
    """Restore `everything`, whatever has come since."""
    with database(directory).begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(sa.delete(table))
            if backup[table.name]:
                connection.execute(sa.insert(table), backup[table.name])


@pytest.mark.parametrize(
    ("statement", "value", "what"),
    [
        ("INSERT INTO balance VALUES (1, :value)", bytes(33), "a page of balances is missing"),
        ("INSERT INTO balance VALUES (0, :value)", bytes(32), "ends inside an account"),
        ("DELETE FROM balance_change WHERE number = :value", 1, "balances|stands nowhere"),
        ("UPDATE balance_change SET accounts = :value WHERE number = 1", b"", "balances"),
        ("UPDATE balance_change SET accounts = :value WHERE number = 1", bytes(36), "ends inside an account"),
        ("UPDATE balance_change SET accounts = :value WHERE number = 1", bytes(37), "balances"),
        ("UPDATE balance_change SET accounts = :value WHERE number = 1", b"\xff" * 37, "stands nowhere"),
        ("DELETE FROM piece WHERE first = :value", 1, "missing"),
        ("DELETE FROM piece WHERE first = :value", 0, "missing"),
        ("DELETE FROM entry_id WHERE place = :value", 2, "ids"),
        ("UPDATE entry_id SET place = 1 WHERE place = :value", 2, "ids"),
        ("INSERT INTO entry_id VALUES (:value, 2)", bytes(16), "ids"),
        ("UPDATE piece SET leaf_hashes = :value WHERE first = 5", bytes(64), "leaf hash"),
        ("UPDATE piece SET entries = :value WHERE first = 5", b"\x00\x01x\x00\x01y", "leaf hash"),
        ("UPDATE piece SET entries = :value WHERE first = 5", b"\x00\x01x", "missing"),
        ("UPDATE piece SET entries = :value WHERE first = 5", b"\x00", "ends inside"),
        ("UPDATE meta SET value = :value", "999", "schema"),
    ],
)
def test_ledger_when_edited_behind_our_back(directory: Path, statement: str, value: Any, what: str) -> None:
    """A database that does not say what its entries say is not opened, and nothing is published over it."""
    funded(directory).close()
    before = (directory / "log" / "checkpoint").read_bytes()
    edit(directory, statement, value=value)
    with pytest.raises(StorageError, match=what):
        reopen(directory)
    assert (directory / "log" / "checkpoint").read_bytes() == before


def test_ledger_when_restored_from_an_old_backup(directory: Path) -> None:
    """A database that is smaller than the published checkpoint is refused: we never sign a smaller tree."""
    funded(directory).close()
    backup = everything(directory)
    with reopen(directory) as ledger:
        ledger.submit([testing.pay("ana", "ben", 1)])
        ledger.publish()
    put_back(directory, backup)
    with pytest.raises(StorageError, match="older copy"):
        reopen(directory)


def test_ledger_when_it_forks_from_what_is_published(directory: Path) -> None:
    """A database of the same size with another history is refused: we never sign two."""
    funded(directory).close()
    backup = everything(directory)
    for memo in ("published", "another history"):
        put_back(directory, backup)
        if memo == "published":
            with reopen(directory) as ledger:
                ledger.submit([testing.pay("ana", "ben", 1, memo)])
                ledger.publish()
            continue
        aside = (directory / "log").rename(directory / "aside")
        (directory / "head.db").unlink()
        with reopen(directory) as ledger:
            ledger.submit([testing.pay("ana", "ben", 1, memo)])
        (directory / "log").rename(directory / "second")
        aside.rename(directory / "log")
    with pytest.raises(StorageError, match="another root"):
        reopen(directory)


def test_ledger_when_the_checkpoint_is_not_ours(directory: Path) -> None:
    """A published checkpoint that the log key did not sign stops us before we sign anything."""
    funded(directory).close()
    checkpoint = directory / "log" / "checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n1\n", b"\n2\n"))
    with pytest.raises(StorageError, match="not signed by this log's key"):
        reopen(directory)


def test_ledger_when_created_twice(directory: Path) -> None:
    """A ledger that is there is never overwritten."""
    funded(directory).close()
    with pytest.raises(StorageError, match="already"):
        app.create_ledger(directory, testing.GENESIS, testing.LOG_KEY)
    with pytest.raises(StorageError, match="no ledger"):
        reopen(directory / "elsewhere")


def test_published_files_when_lost(directory: Path) -> None:
    """The published log is derived: deleted, it comes back with the same bytes."""
    with funded(directory) as ledger:
        ledger.submit([testing.pay("ana", "ben", 1, memo=str(number)) for number in range(300)])
        ledger.publish()
    log = directory / "log"
    before = {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}
    for path in before:
        path.unlink()
    reopen(directory).close()
    assert {path: path.read_bytes() for path in log.rglob("*") if path.is_file()} == before


def test_ledger_when_the_log_is_lost_and_an_old_backup_restored(directory: Path) -> None:
    """Without a published log to compare with, the head that was signed last still keeps an older copy out."""
    funded(directory).close()
    backup = everything(directory)
    with reopen(directory) as ledger:
        ledger.submit([testing.pay("ana", "ben", 1)])
        ledger.publish()
    put_back(directory, backup)
    (directory / "log").rename(directory / "aside")
    with pytest.raises(StorageError, match="older copy"):
        reopen(directory)
    assert not (directory / "log" / "checkpoint").exists()


def test_log_when_two_copies_of_a_ledger_write_it(directory: Path, tmp_path: Path) -> None:
    """Two databases under one log (a copied disk, started twice): the head is swapped once, the other one stops."""
    funded(directory).close()
    copy = tmp_path / "copy"
    copy.mkdir()
    backup = everything(directory)
    with app.create_ledger(copy, testing.GENESIS, testing.LOG_KEY):
        pass
    put_back(copy, backup)
    for name in ("log", "head.db"):
        remove = copy / name
        shutil.rmtree(remove) if remove.is_dir() else remove.unlink()
        remove.symlink_to(directory / name)
    with reopen(directory) as first, reopen(copy) as second:
        first.submit([testing.pay("ana", "ben", 1, "the first")])
        second.submit([testing.pay("ana", "ben", 2, "the second")])
        head = first.publish()
        with pytest.raises(StorageError, match="another process has signed a head"):
            second.publish()
        with pytest.raises(StorageError, match="has failed"):
            second.submit([testing.pay("ana", "ben", 3)])
        assert first.submit([testing.pay("ana", "ben", 4)]) == [Placed(head.size)]
        assert first.publish().size == head.size + 1
    with pytest.raises(StorageError, match="older copy"):
        reopen(copy)


def test_head_when_the_publication_was_cut_off(directory: Path) -> None:
    """Between the head and the checkpoint nothing is lost: the next start publishes the same head."""
    funded(directory).close()
    old = (directory / "log" / "checkpoint").read_bytes()
    with reopen(directory) as ledger:
        ledger.submit([testing.pay("ana", "ben", 1)])
        head = ledger.publish()
    (directory / "log" / "checkpoint").write_bytes(old)
    with reopen(directory) as ledger:
        assert ledger.checkpoint == head
