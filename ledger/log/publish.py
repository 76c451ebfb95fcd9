"""Writes the published log: plain files below one directory that any web server can serve.

Files are written beside, synced and renamed (disk.py), tiles before the checkpoint that needs them, so a reader
never sees half a file or a checkpoint without its tiles. Partial tiles of published sizes stay until the full tile is
there (C2SP asks for no more); nothing else is ever removed: the minimum index of this log is 0.
"""

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from commonwatt.errors import FormatError, StorageError
from ledger.log import disk, tiles
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.disk import Disk
from ledger.log.note import Signer
from ledger.log.tiles import CHECKPOINT, ENTRIES, WIDTH, TileName, TileTree


class Publisher:
    """The only writer of one published log. `root`: its directory; files are prepared in `<root>.new` beside it.

    `signer` holds the log key: who has it can sign another history, which witnesses and readers would notice.
    `close` ends its thread.
    """

    def __init__(self, root: Path, signer: Signer, *, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or Disk()
        self._scratch = root.with_name(root.name + ".new")
        self._signer = signer
        self.published: Checkpoint | None = None
        self._full: list[TileName] = []  # full tiles whose partials have served their time
        self._writer = ThreadPoolExecutor(1, "tiles")
        self._begun: Future[None] | None = None
        try:
            self._disk.remove(self._scratch)
            self._disk.make(self._scratch)
            self._disk.make(self._root)
        except OSError as error:
            raise _failed(root, error) from error

    def last_checkpoint(self) -> Checkpoint | None:
        """The checkpoint on disk, None before the first; StorageError if it is not one of ours."""
        path = self._root / CHECKPOINT
        try:
            checkpoint, _ = open_checkpoint(self._disk.read(path), self._signer.verifier)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(path, error) from error
        except FormatError as error:
            raise StorageError(
                f"the published checkpoint is not signed by this log's key ({error})",
                where=path,
                to_do="find out who changed it before you sign anything; see docs/operating",
            ) from error
        return checkpoint

    def write_tiles(self, files: Mapping[TileName, bytes]) -> None:
        """Put tiles in place; those that are there with the same bytes are left alone."""
        self._write({name.path: data for name, data in files.items()})
        self._full += [name for name in files if name.width == WIDTH]

    def begin(self, tree: TileTree) -> None:
        """Write full tiles in the background, once those before are done; a failure is raised by the next call."""
        self._finish()
        self._begun = self._writer.submit(self.write_tiles, tree.take_finished())

    def erase(self, places: Collection[int]) -> None:
        """Empty these entries in every published bundle, also those of earlier sizes; the newest bundle first.

        So a reader who comes in between sees a log whose end is erased, which verifies.
        """
        self._finish()
        bundles = sorted({place // WIDTH for place in places}, reverse=True)
        for index in bundles:
            full = self._root / TileName(ENTRIES, index).path
            partials = sorted((full.parent / (full.name + ".p")).glob("*"))
            for path in (*partials, *([full] if full.exists() else [])):
                entries = tiles.parse_bundle(self._disk.read(path))
                kept = [b"" if place in places else data for place, data in enumerate(entries, index * WIDTH)]
                self._write({path.relative_to(self._root).as_posix(): tiles.encode_bundle(kept)})

    def close(self) -> None:
        """Wait for what was begun. What failed in it is of no consequence any more: the next opening writes it."""
        self._writer.shutdown()

    def _finish(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.result()

    def publish(self, tree: TileTree) -> Checkpoint:
        """Bring the directory to the size of `tree`: full tiles, partial tiles, then the signed checkpoint."""
        if self.published is not None and self.published.size == tree.size:
            return self.published
        self._finish()
        self.write_tiles(tree.take_finished() | tree.partials())
        checkpoint = Checkpoint(self._signer.name, tree.size, tree.root())
        self._write({CHECKPOINT: checkpoint.sign(self._signer)})
        self.published = checkpoint
        self._prune()
        return checkpoint

    def _prune(self) -> None:
        for name in self._full:
            self._disk.remove(self._root / (name.path + ".p"))
        self._full.clear()

    def _write(self, files: Mapping[str, bytes]) -> None:
        try:
            disk.put(self._disk, self._root, self._scratch, files)
        except OSError as error:
            raise _failed(self._root, error) from error


def _failed(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot publish the log: {error.strerror}",
        where=path,
        to_do="make room or mend the disk and start again; the database holds everything and the files are rebuilt",
    )
