"""Whom an aggregator believes that does not lead: read from the published log, again whenever it has grown.

A meter is admitted while nobody leads; its blocks must not be refused by an aggregator that has not heard of it.
"""

from pathlib import Path

from aggregator.commune.places import Places
from aggregator.commune.registry import Directory
from commonwatt.errors import FormatError, StorageError
from commonwatt.identity import load_key
from ledger import saved
from ledger.app import LOG, LOG_KEY
from ledger.book.reader import LogReader
from ledger.book.state import State
from ledger.log import merkle
from ledger.log.checkpoint import Checkpoint
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, WIDTH, TileName
from ledger.proof.tree import PublishedTree
from ledger.saved import SavedState


class FollowedLog:
    """The log as it is published in a commune's directory."""

    def __init__(self, directory: Path) -> None:
        self._commune = directory
        self._log = PublishedLog(directory / LOG)
        self._reader = LogReader(self._saved())
        self._read()
        self._changes = self._reader.state.admissions.by_id.changes
        self.directory = Directory.of(self._reader.state, Places.read(self._commune))

    @property
    def state(self) -> State:
        """What the entries say that were read so far."""
        return self._reader.state

    @property
    def checkpoint(self) -> Checkpoint:
        """The head up to which entries were read; its signature is not looked at here."""
        return self._checkpoint

    def step(self) -> bool:
        """Read what is new; whether somebody was admitted, changed or revoked. StorageError: a wrong log."""
        if not self._read() or self._changes == self._reader.state.admissions.by_id.changes:
            return False
        self._changes = self._reader.state.admissions.by_id.changes
        self.directory = Directory.of(self._reader.state, Places.read(self._commune))
        return True

    def _saved(self) -> State | None:
        """The state that who leads has saved, if this log goes on from it: then what came before need not be read."""
        found = SavedState(self._commune / saved.FILE, load_key(self._commune / LOG_KEY)).load()
        size = self._log.unverified_checkpoint().size
        if found is None or found.tree.size > size:
            return None
        try:
            is_its_tree = PublishedTree(self._log.tile, size).root(found.tree.size) == found.tree.root()
        except FormatError:
            return None
        return found.state if is_its_tree else None

    def _read(self) -> bool:
        self._checkpoint = self._log.unverified_checkpoint()
        size, first = self._checkpoint.size, self._reader.size
        for start in range(first // WIDTH * WIDTH, size, WIDTH):
            bundle = self._log.bundle(TileName(ENTRIES, start // WIDTH, min(WIDTH, size - start)))
            entries = bundle[max(0, first - start) :]
            if not self._reader.read(entries, [merkle.leaf_hash(data) for data in entries]):
                raise StorageError(
                    f"entry {self._reader.size} of the published log breaks a rule",
                    where=self._log.where,
                    to_do="restore the log that belongs to this commune",
                )
        return size > first
