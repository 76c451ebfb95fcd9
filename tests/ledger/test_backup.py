"""Backup and restore: whole at every moment, checked, and from one engine to the other."""

import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from commonwatt.clock import CivilClock
from commonwatt.errors import StorageError, UserError
from commonwatt.identity import save_key
from ledger import app, backup, testing
from ledger import settings as ledger_settings
from ledger.book.replay import replay
from ledger.log.note import Signer
from ledger.sequencer import Placed, Sequencer
from ledger.witness.client import WitnessClient
from ledger.witness.cosignature import CosigningKey
from ledger.witness.http import Witness, serve
from ledger.witness.store import WitnessStore

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)
COMMONWATT = str(Path(sys.executable).parent / "commonwatt")
ENGLISH = {"LANGUAGE": "en", "PATH": "/usr/bin:/bin"}
SEED = 20_240_715


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [COMMONWATT, "ledger", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENGLISH)


@pytest.fixture
def commune(directory: Path) -> Path:
    """A commune, on both engines, in which ana holds 10 credits; nobody has its ledger open."""
    with testing.village(directory, "ana", "ben") as ledger:
        testing.mint(ledger, [testing.earned("ana", 10_000, 1000)])
        ledger.publish()
    describe(directory)
    save_key(directory / "keys" / "log.key", testing.LOG_KEY)
    return directory


def describe(directory: Path, genesis: bytes = testing.GENESIS_SHA256) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "commune.toml").write_text(
        f'name = "testville"\norigin = "{testing.ORIGIN}"\ngenesis_sha256 = "{genesis.hex()}"\n'
        f'log_vkey = "{SIGNER.verifier}"\ntrial = true\nassociation = "{testing.ident("association").hex()}"\n'
    )


def reopen(directory: Path) -> Sequencer:
    return app.open_parts(directory, SIGNER)


def pay(directory: Path, count: int = 1, memo: str = "") -> None:
    with reopen(directory) as ledger:
        ledger.submit([testing.pay("ana", "ben", 1, f"{memo}{number}") for number in range(count)])
        ledger.publish()


def lose_store(directory: Path) -> None:
    """The database is gone: a new disk, an empty schema."""
    settings = ledger_settings.load(directory)
    if not settings.store:
        (directory / "ledger.db").unlink()
        return
    engine = sa.create_engine(settings.store, poolclass=sa.NullPool)
    with engine.begin() as connection:
        schema = connection.exec_driver_sql("SELECT current_schema()").scalar()
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")


WRITER = """
import sys
from pathlib import Path
from ledger import app, testing
from ledger.log.note import Signer
with app.open_parts(Path(sys.argv[1]), Signer(testing.ORIGIN, testing.LOG_KEY)) as ledger:
    for number in range(10_000):
        ledger.submit([testing.pay("ana", "ben", 1, memo=f"{number} {i}") for i in range(7)])
        ledger.publish()
        print(ledger.size, flush=True)
"""


def test_backup_when_taken_under_load(commune: Path, tmp_path: Path) -> None:
    """While a writer commits without a pause, every backup is whole and holds all that was published before it."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(commune)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        sizes = []
        for _ in range(4):
            for _ in range(11):
                published = int(writer.stdout.readline())
            kept = backup.back_up(commune, tmp_path / "kept")
            assert kept.head.size >= published
            sizes.append(kept.head.size)
            shutil.copytree(tmp_path / "kept", tmp_path / f"kept {len(sizes)}")
    finally:
        writer.kill()
        writer.communicate()
    assert len(set(sizes)) > 1
    for number, size in enumerate(sizes, 1):
        restored = tmp_path / f"restored {number}"
        assert backup.restore(tmp_path / f"kept {number}", restored).size == size
        with reopen(restored) as ledger:
            assert ledger.size == size
            assert replay(ledger.entry(place) for place in range(size)).digest() == ledger.state.digest()


def test_backup_when_repeated(commune: Path, tmp_path: Path) -> None:
    """A second run copies only what is new; a run without news copies nothing."""
    assert backup.back_up(commune, tmp_path / "kept").entries == 7
    pay(commune, 300)
    kept = backup.back_up(commune, tmp_path / "kept")
    assert (kept.entries, kept.head.size) == (300, 307)
    again = backup.back_up(commune, tmp_path / "kept")
    assert (again.entries, again.files) == (0, 0)


def test_restore_when_the_store_is_lost(commune: Path, tmp_path: Path) -> None:
    """The commune goes on where the backup ends, and what came later is answered as new."""
    backup.back_up(commune, tmp_path / "kept")
    with reopen(commune) as ledger:
        digest = ledger.state.digest()
    lose_store(commune)
    assert backup.restore(tmp_path / "kept", commune).size == 7
    with reopen(commune) as ledger:
        assert ledger.state.digest() == digest
        assert ledger.submit([testing.pay("ana", "ben", 1)]) == [Placed(7)]


def test_restore_when_only_the_published_log_is_left(commune: Path) -> None:
    """A commune's own directory is a backup of itself: nothing published is lost with the store."""
    pay(commune, 300)
    lose_store(commune)
    assert backup.restore(commune, commune).size == 307
    with reopen(commune) as ledger:
        assert ledger.size == 307


def test_restore_when_the_machine_is_new(commune: Path, tmp_path: Path) -> None:
    """Everything but the keys comes from the backup; with them the ledger opens as the commune's own."""
    (commune / "witnesses.policy").write_text("quorum none\n")
    backup.back_up(commune, tmp_path / "kept")
    assert not [path for path in (tmp_path / "kept").rglob("*") if "key" in path.name and path.name != "log.vkey"]
    backup.restore(tmp_path / "kept", tmp_path / "new")
    shutil.copytree(commune / "keys", tmp_path / "new" / "keys")
    with app.open_ledger(tmp_path / "new") as ledger:
        assert ledger.size == 7
    for name in ("commune.toml", "log.vkey", "witnesses.policy", "log/checkpoint"):
        assert (tmp_path / "new" / name).read_bytes() == (commune / name).read_bytes()


def test_restore_when_the_engine_changes(commune: Path, tmp_path: Path, postgres_url: str) -> None:
    """Either engine's backup is restored into the other; state and log are the same, to the bit."""
    backup.back_up(commune, tmp_path / "kept")
    with reopen(commune) as ledger:
        digest = ledger.state.digest()
    was_sqlite = not ledger_settings.load(commune).store
    store = postgres_url if was_sqlite else f"sqlite:///{tmp_path / 'other.db'}"
    backup.restore(tmp_path / "kept", tmp_path / "other", store=store)
    assert ledger_settings.load(tmp_path / "other").store == store
    with reopen(tmp_path / "other") as ledger:
        assert ledger.state.digest() == digest
        ledger.submit([testing.pay("ana", "ben", 1)])


def test_restore_when_a_byte_of_the_backup_was_changed(commune: Path, tmp_path: Path) -> None:
    """A damaged backup is refused before anything is written."""
    backup.back_up(commune, tmp_path / "kept")
    random_ = random.Random(SEED)
    files = sorted(path for path in (tmp_path / "kept" / "log").rglob("*") if path.is_file())
    for file in files:
        before = file.read_bytes()
        at = random_.randrange(len(before))
        file.write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
        with pytest.raises(UserError, match="damaged"):
            backup.restore(tmp_path / "kept", tmp_path / "new")
        assert not (tmp_path / "new" / "ledger.db").exists()
        file.write_bytes(before)
    assert backup.restore(tmp_path / "kept", tmp_path / "new").size == 7


def test_restore_when_a_ledger_is_there(commune: Path, tmp_path: Path) -> None:
    """What is there is never overwritten."""
    backup.back_up(commune, tmp_path / "kept")
    pay(commune)
    shutil.rmtree(commune / "log")
    with pytest.raises(StorageError, match="a ledger is here already"):
        backup.restore(tmp_path / "kept", commune)
    with reopen(commune) as ledger:
        assert ledger.size == 8


def test_restore_when_more_was_published(commune: Path, tmp_path: Path) -> None:
    """A backup older than the log beside it is refused: that log holds the rest."""
    backup.back_up(commune, tmp_path / "kept")
    pay(commune)
    lose_store(commune)
    with pytest.raises(UserError, match="published here has 8 entries, the backup 7\n→ restore from this directory"):
        backup.restore(tmp_path / "kept", commune)
    assert backup.restore(commune, commune).size == 8


def test_restore_when_the_backup_is_of_another_ledger(commune: Path, tmp_path: Path) -> None:
    """A directory that says it is one ledger does not become another."""
    backup.back_up(commune, tmp_path / "kept")
    describe(tmp_path / "new", genesis=bytes(32))
    with pytest.raises(UserError, match="the backup of another ledger"):
        backup.restore(tmp_path / "kept", tmp_path / "new")


DYING = """
import os, signal, sys
from pathlib import Path
from ledger import settings
from ledger.backup import _rows
from ledger.log.published import PublishedLog
from ledger.store.sql import Store
directory, log = Path(sys.argv[1]), PublishedLog(Path(sys.argv[2]))
def rows():
    for number, batch in enumerate(_rows(log, 307)):
        yield batch
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
Store.create(settings.load(directory).engine(directory), rows(), dict)
"""


def test_restore_when_killed(commune: Path, tmp_path: Path) -> None:
    """A restore that is cut off has written nothing: it is simply run again."""
    pay(commune, 300)
    backup.back_up(commune, tmp_path / "kept")
    lose_store(commune)
    done = subprocess.run([sys.executable, "-c", DYING, commune, tmp_path / "kept" / "log"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert backup.restore(tmp_path / "kept", commune).size == 307
    with reopen(commune) as ledger:
        assert ledger.size == 307


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[str]:
    """A witness that answers; the policy that asks for it."""
    key = CosigningKey("w.example/w", testing.key("witness"))
    with WitnessStore(tmp_path / "witness.db") as store:
        server = serve(
            "127.0.0.1", 0, Witness(key=key, logs=[SIGNER.verifier], store=store, clock=CivilClock.parse(""))
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"witness w {key.cosigner} http://127.0.0.1:{server.server_address[1]}\nquorum w\n"
        server.shutdown()
        thread.join()
        server.server_close()


def test_commands_when_a_witness_is_ahead_of_the_backup(commune: Path, tmp_path: Path, witness: str) -> None:
    """An old backup is restored, but not opened for writing: a witness has seen more, and the command says so."""
    (commune / "witnesses.policy").write_text(witness)
    done = run("backup", commune, tmp_path / "kept")
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "7 entries"), done.stderr
    pay(commune)
    policy = app.load_witnesses(commune)
    assert policy is not None
    WitnessClient(root=commune / "log", log_key=SIGNER.verifier, policy=policy).ask_all()
    settings = ledger_settings.load(commune)
    lose_store(commune)
    store = ("--store", settings.store) if settings.store else ()
    done = run("restore", tmp_path / "kept", tmp_path / "new", *store)
    assert done.returncode == 0, done.stderr
    assert "7 entries restored" in done.stdout
    shutil.copytree(commune / "keys", tmp_path / "new" / "keys")
    done = run("run", tmp_path / "new", "--port", 0)
    assert done.returncode == 3
    assert (
        "witness w has cosigned 8 entries, this ledger has 7: it is an older copy\n→ restore the newest"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert (tmp_path / "new" / "log" / "checkpoint").read_bytes() == (tmp_path / "kept/log/checkpoint").read_bytes()


def test_backup_when_the_copy_is_ahead(commune: Path, tmp_path: Path) -> None:
    """A commune that lost entries does not take them out of its backup."""
    old = {path: path.read_bytes() for path in (commune / "log").rglob("*") if path.is_file()}
    pay(commune, 3)
    backup.back_up(commune, tmp_path / "kept")
    shutil.rmtree(commune / "log")
    for path, data in old.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(UserError, match="went backwards"):
        backup.back_up(commune, tmp_path / "kept")
    assert backup.restore(tmp_path / "kept", tmp_path / "new").size == 10
