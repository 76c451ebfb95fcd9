"""Puts whole files in place: on the medium when the call returns, and there at once or not at all."""

import os
from pathlib import Path


def replace(path: Path, data: bytes, *, mode: int | None = None, beside: Path | None = None) -> None:
    """Put a whole new file in place of an old one or of none. Raises OSError; then what stood there stands there.

    `mode`: its rights; None: as the umask says. `beside`: where it is prepared, in the same file system; None: next
    to it.
    """
    prepared = beside or path.with_name(path.name + ".new")
    handle = os.open(prepared, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666 if mode is None else mode)
    with os.fdopen(handle, "wb") as file:
        if mode is not None:
            os.fchmod(handle, mode)
        file.write(data)
        file.flush()
        os.fsync(handle)
    prepared.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """What was created, renamed or removed in it stays so. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
