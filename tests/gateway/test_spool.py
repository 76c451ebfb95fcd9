"""What is in the spool stays; a disk or a lock that fails stops the service with a sentence."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from commonwatt.errors import StorageError
from commonwatt.transport import sha256
from gateway.database import Database
from gateway.spool import DELIVERED_KEPT_MAX, ClosedBatch, NewBlock, Spool


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
