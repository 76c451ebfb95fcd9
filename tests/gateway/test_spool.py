"""What is in the spool stays; a disk or a lock that fails stops the service with a sentence."""

import itertools
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commonwatt.block import Block, Channel
from commonwatt.errors import StorageError
from commonwatt.identity import SigningKey
from commonwatt.transport import sha256
from gateway.database import SCHEMAS, Database
from gateway.spool import (
    DELIVERED_KEPT_MAX,
    EXPIRED_AT_ONCE_MAX,
    KNOWN_AT_ONCE,
    ClosedBatch,
    NewBlock,
    Spool,
)
from tests.gateway.support import SEED

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")


def block_of(number: int, size: int = 200) -> NewBlock:
    signed = number.to_bytes(4, "big") * (size // 4)
    return NewBlock(bytes(16), number, sha256(signed), signed)


def test_spool_when_a_block_comes_twice(tmp_path: Path) -> None:
    """The same bytes are one row, within a tick and across restarts."""
    path = tmp_path / "spool.db"
    with Database(path) as database:
        spool = Spool(database)
        with database.transaction():
            assert spool.add([block_of(1), block_of(1), block_of(2)], 0) == 2
        assert (spool.waiting_count, spool.waiting_bytes) == (2, 400)
    with Database(path) as database:
        spool = Spool(database)
        with database.transaction():
            assert spool.add([block_of(2), block_of(3)], 0) == 1
        assert (spool.count, spool.waiting_bytes) == (3, 600)


def test_spool_when_other_bytes_come_under_a_known_number(tmp_path: Path) -> None:
    """Both are carried: only the aggregator can tell a conflict, and it needs both as evidence."""
    with Database(tmp_path / "spool.db") as database, database.transaction():
        other = b"other"
        assert Spool(database).add([block_of(1), NewBlock(bytes(16), 1, sha256(other), other)], 0) == 2


def test_spool_when_many_blocks_were_delivered(tmp_path: Path) -> None:
    """The memory of delivered blocks is bounded; the oldest go first."""
    with Database(tmp_path / "spool.db") as database, database.transaction():
        spool = Spool(database)
        spool.add([block_of(number, 8) for number in range(DELIVERED_KEPT_MAX + 1)], 0)
        blocks = spool.oldest_waiting(count_max=DELIVERED_KEPT_MAX + 1, bytes_max=10**9)
        spool.close_batch(ClosedBatch(0, b"", b""), blocks)
        spool.settle(0, {}, 0)
        assert spool.add([block_of(1, 8)], 0) == 0
        assert spool.add([block_of(0, 8)], 0) == 1


def test_database_when_another_process_holds_it(tmp_path: Path) -> None:
    """A second gateway on one spool is refused with a sentence; so is one that meets any other lock."""
    path = tmp_path / "spool.db"
    with Database(path), pytest.raises(StorageError, match=r"locked.*\n→ another process"):
        Database(path, busy_s=0.05)
    holder = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE'); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StorageError, match="locked"):
            Database(path, busy_s=0.05)
        other.communicate(b"\n")
    Database(path).close()


def test_database_when_it_may_not_grow(tmp_path: Path) -> None:
    """A full database is a StorageError; what was committed before is there, what failed is not."""
    path = tmp_path / "spool.db"
    with Database(path) as database:
        spool = Spool(database)
        with database.transaction():
            spool.add([block_of(1)], 0)
        database.execute("PRAGMA max_page_count=20")
        with pytest.raises(StorageError, match=r"full.*\n→ make room"), database.transaction():
            spool.add([block_of(number, 1024) for number in range(100, 200)], 0)
    with Database(path) as database:
        assert Spool(database).count == 1


def test_database_when_it_is_damaged(tmp_path: Path) -> None:
    """A damaged file is named, and never overwritten."""
    path = tmp_path / "spool.db"
    path.write_bytes(b"not a database at all" * 400)
    with pytest.raises(StorageError, match=r"spool\.db"):
        Database(path)
    assert path.read_bytes().startswith(b"not a database")


def test_database_when_a_newer_gateway_wrote_it(tmp_path: Path) -> None:
    """Another version's spool is left alone."""
    path = tmp_path / "spool.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StorageError, match="another version"):
        Database(path)


def test_spool_when_the_broker_redelivers_everything(tmp_path: Path) -> None:
    """Every block twice in one transaction and again in the next: each is one row, and the counts stay right."""
    with Database(tmp_path / "spool.db") as database:
        spool = Spool(database)
        blocks = [block_of(number) for number in range(2 * KNOWN_AT_ONCE + 1)]
        for expected in (len(blocks), 0, 0):
            with database.transaction():
                assert spool.add([*blocks, *blocks], 0) == expected
        counts = (spool.count, spool.waiting_count, spool.waiting_bytes)
        assert counts == (len(blocks), len(blocks), 200 * len(blocks))
        assert (Spool(database).waiting_count, Spool(database).waiting_bytes) == counts[1:]


def test_spool_when_blocks_grow_too_old(tmp_path: Path) -> None:
    """At the age nothing goes, one second later the oldest go; what a batch carries stays, for it is on its way."""
    with Database(tmp_path / "spool.db") as database:
        spool = Spool(database)
        with database.transaction():
            for number, kept_s in ((1, 0), (2, 0), (3, 50)):
                spool.add([block_of(number)], 1_721_606_400, kept_s)
            spool.close_batch(ClosedBatch(0, b"", b""), spool.oldest_waiting(count_max=1, bytes_max=1))
        for before_s, dropped, left in ((0, 0, 2), (1, 1, 1), (50, 0, 1), (51, 1, 0)):
            with database.transaction():
                assert (spool.expire(before_s), spool.waiting_count) == (dropped, left)
        assert (spool.count, spool.waiting_bytes, Spool(database).count) == (1, 0, 1)


def test_spool_when_many_blocks_grow_too_old_at_once(tmp_path: Path) -> None:
    """They go a bounded number at a time, so that no tick is long."""
    with Database(tmp_path / "spool.db") as database, database.transaction():
        spool = Spool(database)
        spool.add([block_of(number, 8) for number in range(EXPIRED_AT_ONCE_MAX + 1)], 0)
        assert [spool.expire(1), spool.expire(1), spool.expire(1)] == [EXPIRED_AT_ONCE_MAX, 1, 0]


def test_database_when_an_earlier_gateway_wrote_it(tmp_path: Path) -> None:
    """Its blocks are there, and what came with later versions is added."""
    path = tmp_path / "spool.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMAS[0] + "PRAGMA user_version=1;")
    connection.execute(
        "INSERT INTO block (device, seq, sha256, signed, arrived_s) VALUES (x'00', 1, x'01', x'02', 7)"
    )
    connection.commit()
    connection.close()
    for _ in range(2):
        with Database(path) as database:
            assert (Spool(database).count, Spool(database).waiting_bytes) == (1, 1)
            assert database.execute("SELECT kept_s FROM block") == [(0,)]
            assert database.execute("SELECT count(*) FROM command") == [(0,)]


WRITER = """
import sys
from pathlib import Path
from gateway.database import Database
from gateway.spool import ClosedBatch, NewBlock, Spool
from commonwatt.transport import sha256
with Database(Path(sys.argv[1]), busy_s=10) as database:
    spool = Spool(database)
    number = spool.next_batch_seq() * 1000
    while True:
        signed = [b"%d" % (number + index) for index in range(7)]
        blocks = [NewBlock(bytes(16), number + index, sha256(data), data) for index, data in enumerate(signed)]
        with database.transaction():
            spool.add(blocks, 0)
            seq = spool.next_batch_seq()
            spool.close_batch(ClosedBatch(seq, b"", b""), spool.oldest_waiting(count_max=7, bytes_max=10**6))
            if seq % 3 == 2:
                spool.settle(seq - 2, {}, 0)
        print(seq, *(b.seq for b in blocks), flush=True)
        number += 1000
"""


@pytest.mark.parametrize("kills", [8, pytest.param(300, marks=pytest.mark.soak)])
def test_spool_when_it_is_killed_at_any_moment(tmp_path: Path, kills: int) -> None:
    """SIGKILL at seeded instants: what was said to be stored is there, nothing is half done, the file is sound."""
    print(f"seed {SEED}")
    chance, path = random.Random(SEED), tmp_path / "spool.db"
    said: dict[int, list[int]] = {}
    for _ in range(kills):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for line in itertools.islice(writer.stdout, chance.randint(1, 40)):
                seq, *numbers = map(int, line.split())
                said[seq] = numbers
            time.sleep(chance.uniform(0, 0.003))  # an instant inside a transaction, not a wait for anything
            writer.kill()
            for line in writer.stdout:
                if line.endswith("\n"):
                    seq, *numbers = map(int, line.split())
                    said[seq] = numbers
        with Database(path, busy_s=10) as database:
            assert database.execute("PRAGMA integrity_check") == [("ok",)]
            carried: dict[int, list[int]] = {}
            for batch, seq in database.execute("SELECT batch, seq FROM block ORDER BY id"):
                carried.setdefault(batch, []).append(seq)
            for seq, numbers in said.items():
                is_settled = seq % 3 == 0 and seq + 2 in carried  # in one transaction, said or not
                assert carried.get(seq) == (None if is_settled else numbers)
            assert all(len(numbers) == 7 for numbers in carried.values())


FULL = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000));"


@pytest.mark.parametrize("disk", ["RLIMIT_FSIZE", pytest.param("tmpfs", marks=NEEDS_ROOT)])
def test_spool_when_the_disk_is_really_full(tmp_path: Path, disk: str) -> None:
    """A writer meets a full disk, ends with a sentence, and what it said to be stored is there once there is room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if disk == "tmpfs":
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", folder], check=False)
        if mounted.returncode:
            pytest.skip("nothing may be mounted here")
    try:
        before = FULL if disk == "RLIMIT_FSIZE" else ""
        argv = [
            sys.executable,
            "-c",
            before + WRITER.replace("if seq % 3 == 2", "if False"),
            str(folder / "spool.db"),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert "StorageError" in done.stderr
        assert "make room on the disk" in done.stderr
        said = [int(number) for line in done.stdout.splitlines() for number in line.split()[1:]]
        assert said
        if disk == "tmpfs":
            subprocess.run(["mount", "-o", "remount,size=4m", folder], check=True)
        with Database(folder / "spool.db") as database:
            assert database.execute("PRAGMA integrity_check") == [("ok",)]
            assert [seq for (seq,) in database.execute("SELECT seq FROM block ORDER BY id")][: len(said)] == said
    finally:
        if disk == "tmpfs":
            subprocess.run(["umount", folder], check=False)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("what", "readings", "blocks_per_day"), [("an hour", 4, 24), ("a quarter of an hour", 1, 96)]
)
def test_spool_when_a_village_is_offline_for_a_month(
    tmp_path: Path, what: str, readings: int, blocks_per_day: int
) -> None:
    """Thirty days of two hundred devices fit into a gigabyte, are counted at a start, and go out in order."""
    days, devices = 30, 200
    count = days * devices * blocks_per_day
    path = tmp_path / "spool.db"
    key, increments = SigningKey.generate(), (250,) * (readings - 1) if readings > 1 else (250,)
    started_s = time.perf_counter()
    with Database(path) as database:
        spool = Spool(database)
        for start in range(0, count, 2000):
            blocks = []
            for number in range(start, min(start + 2000, count)):
                device, seq = number % devices, number // devices
                channels = tuple(Channel(q, 1_000_000 + 250 * seq, increments) for q in (1, 2))
                signed = Block(seq, bytes(16), 1_721_606_400 + 900 * seq, 900, 0, channels).sign(key)
                signed = signed[:-2] + device.to_bytes(2, "big")  # another device's block, without another signature
                blocks.append(NewBlock(device.to_bytes(16, "big"), seq, sha256(signed), signed))
            with database.transaction():
                assert spool.add(blocks, 0, 0) == len(blocks)
        wrote_s, size = time.perf_counter() - started_s, spool.size_bytes()
        signed_bytes = spool.waiting_bytes
    file_size = sum(part.stat().st_size for part in tmp_path.iterdir())
    started_s = time.perf_counter()
    with Database(path) as database:
        spool = Spool(database)
        opened_s = time.perf_counter() - started_s
        assert (spool.count, spool.waiting_bytes) == (count, signed_bytes)
        assert spool.oldest_waiting(count_max=500, bytes_max=10**6)[0].id == 1
    print(
        f"a block for {what}: {days} days x {devices} devices = {count:,} blocks, {signed_bytes:,} bytes signed, "
        f"{size:,} bytes in the spool ({size / count:.0f} per block), {file_size:,} on the disk; "
        f"written in {wrote_s:.0f} s, opened again in {opened_s:.2f} s"
    )
    assert size < 1_000_000_000
    assert file_size < 1_000_000_000
