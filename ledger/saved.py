"""What a ledger's state was at some size, kept beside it: DIR/ledger.state. A start then replays what came after it.

Half a million admissions are a minute of signatures; a year of mints, hours of hashing. The file is our own word and
carries an HMAC under a key that follows from the log's key (docs/decisions/0023-a-saved-state.md): who can forge it
could sign another history anyway. It counts only if the code of the rules is the very one that wrote it, if the store
ends the log's unfinished tile with the same entries, and if a published head is as new and continues the same tree.
Otherwise, or without it, the whole log is read. It is never what a ledger is restored from.

    commonwatt ledger state 1 ⏎ · HMAC-SHA-256 (32 bytes) · the state (audit/saved_state.py)
"""

import dataclasses
import hashlib
import hmac
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import ledger.book
from commonwatt import cbor, cose, files, identity, units
from commonwatt.errors import FormatError, StorageError
from commonwatt.identity import SigningKey
from ledger import collector
from ledger.audit import saved_state
from ledger.book.state import State
from ledger.log import merkle
from ledger.log.tiles import TileTree

log = logging.getLogger(__name__)

FILE = "ledger.state"
ENTRIES_MIN = 2000
"""Fewer entries since the last time are read again sooner than they are saved."""

_BESIDE_THE_BOOK = (merkle, cbor, cose, identity, units)

_MAGIC = b"commonwatt ledger state 1\n"
_PURPOSE = b"commonwatt ledger state key 1"


@dataclasses.dataclass(frozen=True, slots=True)
class Saved:
    """`state` after the entries of `tree`, `signed` of which are signed entries."""

    state: State
    tree: TileTree
    signed: int


class SavedState:
    """The file of one ledger. `size`: of the log that it stands for; 0: there is none, or it does not count."""

    def __init__(self, path: Path, log_key: SigningKey) -> None:
        self._path = path
        self._key = hashlib.sha256(_PURPOSE + log_key.seed).digest()
        self.size = 0

    def load(self) -> Saved | None:
        """What was saved; None if there is nothing, or nothing that we wrote with these very rules."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("the whole log is read, because %s cannot be: %s", self._path, error.strerror)
            return None
        try:
            return self._parse(data)
        except FormatError as error:
            log.warning("the whole log is read, because %s does not count: %s", self._path, error)
            return None

    def save(self, saved: Saved) -> None:
        """Replace the file, at once or not at all. One that cannot be written is done without."""
        state, tree = dataclasses.replace(saved.state, ids=saved.state.ids.forgotten()), saved.tree
        assert not tree.finished, "it is published"
        assert not state.book.touched, "it is stored"
        assert state.stage is None, "a state between a mint and its run is nobody's state"
        whole = (rules_sha256(), state, tree.size, tree.hashes, b"".join(tree.bundle), saved.signed)
        body = saved_state.encode(whole)
        try:
            files.replace(self._path, _MAGIC + self._mac(body) + body, mode=0o600)
        except OSError as error:
            log.warning("the state is not saved, and the next start takes longer: %s: %s", self._path, error.strerror)
            return
        self.size = saved.tree.size

    def forget(self) -> None:
        """Remove the file for good: the log is no longer what it was. StorageError."""
        try:
            self._path.unlink(missing_ok=True)
            files.sync_directory(self._path.parent)
        except OSError as error:
            raise StorageError(
                f"cannot be removed: {error.strerror}", where=self._path, to_do="mend the disk, then run again"
            ) from error
        self.size = 0

    def _parse(self, data: bytes) -> Saved:
        head, mac, body = data[: len(_MAGIC)], data[len(_MAGIC) :][:32], data[len(_MAGIC) + 32 :]
        if head != _MAGIC or not hmac.compare_digest(mac, self._mac(body)):
            raise FormatError("malformed", "torn, changed, or of another log")
        with collector.paused():
            whole = saved_state.decode(body)
        match whole:
            case (rules, State() as state, int(size), list(hashes), bytes(bundle), int(signed)):
                if rules == rules_sha256():
                    return Saved(state, TileTree(size, hashes, [bundle] if bundle else []), signed)
        raise FormatError("version", "written by other rules")

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")


@cache
def rules_sha256() -> bytes:
    """Over the source of everything that decides what a state is: a state of other rules is nobody's."""
    return source_sha256(rules_files())


def rules_files() -> list[Path]:
    """The book, and what it leaves to others: hashes, encoding, signatures, keys, the bounds of amounts."""
    book = sorted(Path(next(iter(ledger.book.__path__))).glob("*.py"))
    return [*book, *(Path(str(module.__file__)) for module in _BESIDE_THE_BOOK)]


def source_sha256(paths: Sequence[Path]) -> bytes:
    """Over the bytes of files, in this order."""
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    return hashlib.sha256(b"".join(digests)).digest()
