"""Every file system call of publishing fails once; the ledger stops, and what it does after a restart is whole."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from commonwatt.errors import StorageError
from ledger import testing
from ledger.audit.verify import Mode, verify
from ledger.log import merkle, tiles
from ledger.log.disk import Disk
from ledger.log.note import Signer
from ledger.log.publish import Publisher
from ledger.log.tiles import TileTree

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)
SIZES = (60, 300, 530)
"""What is published in turn: within the first tile, the second, the third."""

NAMES = tuple(f"member {number}" for number in range(20))


class FaultyDisk(Disk):
    """Counts its calls and lets the one numbered `fails_at` fail; a write that fails has written half."""

    sync_all_files = 3

    def __init__(self, fails_at: int, error: int) -> None:
        self.calls: list[str] = []
        self._fails_at = fails_at
        self._error = error

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) - 1 == self._fails_at:
            raise OSError(self._error, os.strerror(self._error))

    def read(self, path: Path) -> bytes:
        self._called("read")
        return super().read(path)

    def make(self, folder: Path) -> None:
        self._called("make")
        super().make(folder)

    def remove(self, folder: Path) -> None:
        if len(self.calls) != self._fails_at:
            super().remove(folder)
        self.calls.append("remove")

    def create(self, path: Path) -> int:
        self._called("create")
        return super().create(path)

    def write(self, handle: int, data: memoryview) -> int:
        if len(self.calls) == self._fails_at:
            super().write(handle, data[: len(data) // 2])
        self._called("write")
        return super().write(handle, data)

    def sync(self, handle: int) -> None:
        self._called("sync")
        super().sync(handle)

    def sync_all(self, handle: int) -> None:
        self._called("sync_all")
        super().sync_all(handle)

    def replace(self, source: Path, target: Path) -> None:
        self._called("replace")
        super().replace(source, target)

    def open_folder(self, folder: Path) -> int:
        self._called("open_folder")
        return super().open_folder(folder)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A log of more than two tiles: admissions, a mint-run, payments."""
    with testing.village(tmp_path_factory.mktemp("village"), *NAMES) as ledger:
        testing.mint(ledger, [testing.earned(name, 10_000) for name in NAMES])
        for first in range(0, 520, 200):
            ledger.submit([testing.pay(NAMES[0], NAMES[1], 1, memo=str(first + at)) for at in range(200)])
        return [ledger.entry(place) for place in range(SIZES[-1])]


def publish(directory: Path, entries: list[bytes], disk: Disk) -> None:
    """Publish the log at each size in turn, as a sequencer does that starts from its database."""
    publisher, tree = Publisher(directory, SIGNER, disk=disk), TileTree()
    try:
        published = publisher.last_checkpoint()
        for size in SIZES:
            for data in entries[tree.size : size]:
                tree.append(data, merkle.leaf_hash(data))
            if published is None or size >= published.size:
                publisher.begin(tree)
                publisher.publish(tree)
    finally:
        publisher.close()


def whole(directory: Path) -> int:
    """The size of the published log, every file of which is good; 0 before the first checkpoint."""
    if not (directory / "checkpoint").exists():
        return 0
    report = verify(directory, SIGNER.verifier, mode=Mode.PUBLIC, lenient=True)
    assert report.is_good, report.problems
    assert report.checkpoint is not None
    return report.checkpoint.size


def files(directory: Path) -> dict[str, bytes]:
    """The files that a log of the last size consists of."""
    paths = ["checkpoint", *(name.path for name in tiles.names(SIZES[-1]))]
    return {path: (directory / path).read_bytes() for path in paths}


def test_call_when_it_fails_once(tmp_path: Path, entries: list[bytes]) -> None:
    """Whichever call fails: an error names the log, readers see a whole one, and a restart brings it up to date."""
    counted = FaultyDisk(-1, errno.EIO)
    publish(tmp_path / "reference", entries, counted)
    names = {"read", "make", "remove", "create", "write", "sync", "sync_all", "replace", "open_folder"}
    assert set(counted.calls) == names
    reference = files(tmp_path / "reference")
    for fails_at, call in enumerate(counted.calls):
        here = tmp_path / str(fails_at)
        is_told = False
        try:
            publish(here, entries, FaultyDisk(fails_at, errno.EIO if fails_at % 2 else errno.ENOSPC))
        except StorageError as failure:
            is_told = "cannot publish the log" in str(failure)
        assert is_told or call == "remove", f"call {fails_at} ({call}) failed and nobody was told"
        assert whole(here) in (0, *SIZES)
        publish(here, entries, Disk())
        assert whole(here) == SIZES[-1]
        assert files(here) == reference
        shutil.rmtree(here)
