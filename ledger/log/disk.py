"""The file system calls by which a log is published, each one method, so that a test can let every one fail once."""

import ctypes
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

HANDLES_MAX = 256
"""Files held open at once; a process may often have 1,024."""


class Disk:
    """The calls themselves. Each raises OSError, but `remove`: what it leaves harms nobody.

    `sync_all_files`: from so many files on, one flush of the file system costs less than one for each file.
    """

    sync_all_files = 16

    def read(self, path: Path) -> bytes:
        """The bytes of a file."""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 half the cost, and there are hundreds
            return file.readall()

    def make(self, folder: Path) -> None:
        """A directory, with those above it."""
        folder.mkdir(parents=True, exist_ok=True)

    def remove(self, folder: Path) -> None:
        """A directory and everything in it, if it is there."""
        shutil.rmtree(folder, ignore_errors=True)

    def create(self, path: Path) -> int:
        """A handle of an empty file."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def write(self, handle: int, data: memoryview) -> int:
        """As much of the data as the system takes at once."""
        return os.write(handle, data)

    def sync(self, handle: int) -> None:
        """A file or directory until it is on the medium."""
        os.fsync(handle)

    def sync_all(self, handle: int) -> None:
        """Everything in the file system of an open file; OSError too if any of it could not be written."""
        assert _syncfs is not None
        if _syncfs(handle) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    def replace(self, source: Path, target: Path) -> None:
        """Put a file in its place, at once."""
        os.replace(source, target)  # noqa: PTH105 as above

    def open_folder(self, folder: Path) -> int:
        """A handle of a directory, to sync it."""
        return os.open(folder, os.O_RDONLY)


def put(disk: Disk, root: Path, scratch: Path, files: Mapping[str, bytes]) -> None:
    """Put files below `root`, by relative path: durable before they are in place, and in place when this returns.

    They are prepared in `scratch`, which lies in the same file system. A file that is there with the same bytes is
    left alone. OSError leaves each file as it was or as it shall be.
    """
    changed = [(path, data) for path, data in files.items() if not _is_there(disk, root / path, data)]
    for start in range(0, len(changed), HANDLES_MAX):
        _put_some(disk, root, scratch, changed[start : start + HANDLES_MAX])
    for folder in sorted(_folders(root, (path for path, _data in changed)), reverse=True):
        handle = disk.open_folder(folder)
        try:
            disk.sync(handle)
        finally:
            os.close(handle)


def _put_some(disk: Disk, root: Path, scratch: Path, files: list[tuple[str, bytes]]) -> None:
    beside = [scratch / str(number) for number in range(len(files))]
    handles: list[int] = []
    try:
        for source, (_path, data) in zip(beside, files, strict=True):
            handles.append(disk.create(source))
            rest = memoryview(data)
            while rest:
                rest = rest[disk.write(handles[-1], rest) :]
        if len(handles) >= disk.sync_all_files and _syncfs is not None:
            disk.sync_all(handles[0])
        else:
            for handle in handles:
                disk.sync(handle)
    finally:
        for handle in handles:
            os.close(handle)
    for folder in {path.rpartition("/")[0] for path, _data in files}:
        disk.make(root / folder)
    for source, (path, _data) in zip(beside, files, strict=True):
        disk.replace(source, root / path)


def _folders(root: Path, paths: Iterable[str]) -> set[Path]:
    """The directories that lead to files below `root`, itself among them."""
    inner = {root / path.rpartition("/")[0] for path in paths}
    return {folder for path in inner for folder in (path, *path.parents) if folder.is_relative_to(root)}


def _is_there(disk: Disk, path: Path, data: bytes) -> bool:
    try:
        return disk.read(path) == data
    except (FileNotFoundError, NotADirectoryError):
        return False


_syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
"""Linux has it, and tells write errors since 5.8; elsewhere files are synced one by one."""
