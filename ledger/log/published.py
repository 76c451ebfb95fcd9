"""Reads a published log from its directory: sizes capped, names strict, nothing believed (verify.py judges)."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from commonwatt.errors import FormatError, StorageError, UserError
from commonwatt.i18n import _
from ledger.log import checkpoint, merkle, note, tiles
from ledger.log.checkpoint import Checkpoint
from ledger.log.tiles import ENTRIES, WIDTH, TileName

COSIGNED = "checkpoint.cosigned"
"""Beside `checkpoint`: the newest head that the witnesses' quorum has cosigned (witness_client.py writes it)."""

_DISK_FAILS = (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What says nothing about the log: the same file may be read another time."""

BUNDLE_SIZE_MAX = WIDTH * (2 + 65_535)


class PublishedLog:
    """The files below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not _is_file(root / tiles.CHECKPOINT):
            raise UserError(
                _("there is no published log here (no file 'checkpoint')"),
                where=root,
                to_do=_("name the directory that holds 'checkpoint' and 'tile', for example var/demo/log"),
            )

    @property
    def where(self) -> object:
        """How messages name it."""
        return self.root

    def paths(self) -> Iterator[str]:
        """Every file, relative with forward slashes, sorted; a link to a directory counts as a file."""
        for folder, folders, files in os.walk(self.root, onerror=self._skip):
            folders.sort()
            here = Path(folder)
            links = [name for name in folders if (here / name).is_symlink()]
            yield from ((here / name).relative_to(self.root).as_posix() for name in sorted(files + links))

    def _skip(self, error: OSError) -> None:
        """A folder that is gone or closed to us is passed over: who looks for what is in it will name it."""
        if error.errno in _DISK_FAILS:
            raise _unreadable(Path(error.filename or self.root), error) from error

    def read(self, path: str, *, size_max: int) -> bytes:
        """The bytes of a file; FormatError "missing" or "too-large", StorageError if the disk fails."""
        file = self.root / path
        try:
            if file.stat().st_size > size_max:
                raise FormatError("too-large", f"more than {size_max} bytes")
            return file.read_bytes()
        except OSError as error:
            if error.errno in _DISK_FAILS:
                raise _unreadable(file, error) from error
            raise FormatError("missing", error.strerror or "cannot be read") from error

    def checkpoint_bytes(self) -> bytes:
        """The file `checkpoint`."""
        return self.read(tiles.CHECKPOINT, size_max=note.NOTE_SIZE_MAX)

    def tile(self, name: TileName) -> list[bytes]:
        """The hashes of a tile, as many as its name says; FormatError otherwise."""
        return self._items(name, WIDTH * merkle.HASH_SIZE, tiles.parse_tile)

    def bundle(self, name: TileName) -> list[bytes]:
        """The entries of a bundle, as many as its name says; FormatError otherwise."""
        return self._items(name, BUNDLE_SIZE_MAX, tiles.parse_bundle)

    def _items(self, name: TileName, size_max: int, parse: Callable[[bytes], list[bytes]]) -> list[bytes]:
        """A partial file may have given way to the full one since its checkpoint was read: that one begins alike."""
        try:
            return _counted(parse(self.read(name.path, size_max=size_max)), name)
        except FormatError as error:
            if error.reason != "missing" or name.width == WIDTH:
                raise
        full = TileName(name.level, name.index)
        return _counted(parse(self.read(full.path, size_max=size_max)), full)[: name.width]

    def unverified_checkpoint(self) -> Checkpoint:
        """The checkpoint without a look at its signatures; UserError if it is none."""
        try:
            return checkpoint.parse(note.parse(self.checkpoint_bytes()).text)
        except FormatError as error:
            raise UserError(_("is not a checkpoint: {error}").format(error=error), where=self.root) from error

    def slots(self) -> Iterator[tuple[bytes, bytes]]:
        """`entries` with the leaf hashes that the tiles tell: all that is left of one that was erased."""
        size = self.unverified_checkpoint().size
        hashes: list[bytes] = []
        for place, data in enumerate(self.entries()):
            if place % WIDTH == 0:
                name = TileName(0, place // WIDTH, min(WIDTH, size - place))
                try:
                    hashes = self.tile(name)
                except FormatError as error:
                    raise UserError(str(error), where=self.root / name.path) from error
            yield data, hashes[place % WIDTH]

    def entries(self) -> Iterator[bytes]:
        """Every entry up to the checkpoint, in order, not verified; an empty one was erased.

        UserError names a bundle that is not there.
        """
        size = self.unverified_checkpoint().size
        for first in range(0, size, WIDTH):
            name = TileName(ENTRIES, first // WIDTH, min(WIDTH, size - first))
            try:
                yield from self.bundle(name)
            except FormatError as error:
                raise UserError(str(error), where=self.root / name.path) from error


def _counted(items: list[bytes], name: TileName) -> list[bytes]:
    if len(items) != name.width:
        raise FormatError("malformed", f"holds {len(items)}, its name says {name.width}")
    return items


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot be read: {error.strerror}", where=path, to_do="mend the disk, then run again")
