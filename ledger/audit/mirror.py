"""Copies a published log from any static web server, and lets `verify` read one there.

Nothing is believed on the way: the head must be signed, must extend the head that the mirror had, and the tiles must
hash to it before the new `checkpoint` is put in place. A mirror thus never holds two histories.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from commonwatt import files
from commonwatt.errors import FormatError, StorageError, UserError
from commonwatt.i18n import _
from ledger import fetch as http_fetch
from ledger.log import merkle, note, tiles
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.published import COSIGNED, PublishedLog
from ledger.log.tiles import CHECKPOINT, ENTRIES, WIDTH, TileName, TileTree
from ledger.proof.tree import PublishedTree


class HttpLog(PublishedLog):
    """The files below one address, read as a directory is. A server lists nothing: the tree says what is there."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.root = Path(self.url)  # not a place on this machine
        self._checkpoint = self._get(CHECKPOINT, note.NOTE_SIZE_MAX)

    @property
    def where(self) -> object:
        """Its address."""
        return self.url

    def paths(self) -> Iterator[str]:
        """What the checkpoint says must be there, bundles among them if the server gives the first."""
        yield CHECKPOINT
        size = self.unverified_checkpoint().size
        for name in tiles.names(size):
            if name.level != ENTRIES or _has_entries(self, size):
                yield name.path

    def read(self, path: str, *, size_max: int) -> bytes:
        """The bytes of a file; FormatError "missing" or "too-large". The checkpoint stays as it was at first."""
        if path == CHECKPOINT:
            return self._checkpoint
        return self._get(path, size_max)

    def _get(self, path: str, size_max: int) -> bytes:
        try:
            return http_fetch.get(f"{self.url}/{path}", size_max=size_max)
        except OSError as error:
            raise UserError(
                _("cannot be reached: {error}").format(error=error), where=f"{self.url}/{path}"
            ) from error


def open_log(place: str | Path) -> PublishedLog:
    """A log by path or address."""
    return HttpLog(str(place)) if http_fetch.is_url(str(place)) else PublishedLog(Path(place))


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a run of the mirror brought: the heads before and after, and how many files came over."""

    before: int
    head: Checkpoint
    files: int


def mirror(source: PublishedLog, directory: Path, log: Verifier) -> Mirrored:
    """Bring `directory` to the size of `source`; UserError, FormatError or StorageError says why not, and then the
    head stays."""
    try:
        return _mirror(source, directory, log)
    except OSError as error:
        raise StorageError(
            f"cannot be mirrored: {error.strerror}",
            where=error.filename or directory,
            to_do="make room or mend the disk, then run again",
        ) from error


def _mirror(source: PublishedLog, directory: Path, log: Verifier) -> Mirrored:
    data = source.checkpoint_bytes()
    head, _signed = open_checkpoint(data, log)
    before = _held(directory, log)
    if before.size > head.size:
        raise UserError(
            _("the server shows {new} entries, the mirror has {old}: it went backwards").format(
                new=head.size, old=before.size
            ),
            where=source.where,
            to_do=_("keep the mirror: it proves that the log was cut"),
        )
    files = _fetch(source, directory, head.size)
    tree = PublishedTree(_Directory(directory).tile, head.size)
    if tree.root(before.size) != before.root or _root_of_leaves(directory, head.size) != head.root:
        raise UserError(
            _("the tiles are not those of the signed head, or not an extension of what the mirror holds"),
            where=source.where,
            to_do=_("keep the mirror and both checkpoints: together they prove a fork"),
        )
    _write(directory / CHECKPOINT, data)
    _fetch_cosigned(source, directory)
    return Mirrored(before.size, head, files)


class _Directory(PublishedLog):
    """A directory whose checkpoint is not there yet."""

    def __init__(self, root: Path) -> None:
        self.root = root


def _held(directory: Path, log: Verifier) -> Checkpoint:
    path = directory / CHECKPOINT
    if not path.exists():
        return Checkpoint(log.name, 0, merkle.EMPTY_ROOT)
    head, _signed = open_checkpoint(path.read_bytes(), log)
    return head


def _fetch(source: PublishedLog, directory: Path, size: int) -> int:
    """Fetch what is not there; files of a log never change, so what is there stays."""
    count = 0
    has_entries = size > 0 and _has_entries(source, size)
    for name in tiles.names(size):
        target = directory / name.path
        if target.exists() or (name.level == ENTRIES and not has_entries):
            continue
        items = source.bundle(name) if name.level == ENTRIES else source.tile(name)
        _write(target, tiles.encode_bundle(items) if name.level == ENTRIES else b"".join(items))
        count += 1
    return count


def _has_entries(source: PublishedLog, size: int) -> bool:
    """Whether bundles are published: auditors' and trial logs have them."""
    try:
        source.bundle(TileName(ENTRIES, 0, min(WIDTH, size)))
    except FormatError as error:
        return error.reason != "missing"
    return True


def _root_of_leaves(directory: Path, size: int) -> bytes:
    """The root from the leaf hashes alone; bundles and every higher tile are compared with them.

    A file that disagrees is removed before FormatError names it, so that the next run fetches it again.
    """
    files = _Directory(directory)
    tree = TileTree()
    for first in range(0, size, WIDTH):
        name = TileName(0, first // WIDTH, min(WIDTH, size - first))
        hashes = files.tile(name)
        bundle = TileName(ENTRIES, name.index, name.width)
        if (directory / bundle.path).exists():
            entries = files.bundle(bundle)
            if merkle.slot_hashes(entries, hashes) != hashes:
                (directory / name.path).unlink()
                raise _differs(directory, bundle)
        for item in hashes:
            tree.append(b"", item)
        _compare_higher(directory, tree.take_finished())
    _compare_higher(directory, tree.partials())
    return tree.root()


def _compare_higher(directory: Path, computed: dict[TileName, bytes]) -> None:
    for name, data in computed.items():
        if name.level > 0 and (directory / name.path).read_bytes() != data:
            raise _differs(directory, name)


def _differs(directory: Path, name: TileName) -> FormatError:
    (directory / name.path).unlink()
    return FormatError("malformed", f"{name.path} does not agree with the leaf hashes")


def _fetch_cosigned(source: PublishedLog, directory: Path) -> None:
    try:
        _write(directory / COSIGNED, source.read(COSIGNED, size_max=note.NOTE_SIZE_MAX))
    except FormatError as error:
        if error.reason == "missing":
            return  # this log has no witnesses
        raise


def _write(target: Path, data: bytes) -> None:
    """Atomically: a mirror that is killed goes on where it stopped."""
    target.parent.mkdir(parents=True, exist_ok=True)
    files.replace(target, data)
