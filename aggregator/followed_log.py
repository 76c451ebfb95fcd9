"""Whom an aggregator believes that does not lead: read from the published log, again whenever it has grown.

A meter is admitted while nobody leads; its blocks must not be refused by an aggregator that has not heard of it.
"""

from pathlib import Path

from aggregator.commune.places import Places
from aggregator.commune.registry import Directory
from commonwatt.errors import FormatError
from commonwatt.identity import load_key
from ledger import saved
from ledger.app import LOG, LOG_KEY
from ledger.book.state import State
from ledger.follower import LogFollower
from ledger.log.published import PublishedLog
from ledger.proof.tree import PublishedTree
from ledger.saved import SavedState


class FollowedLog:
    """The log as it is published in a commune's directory."""

    def __init__(self, directory: Path) -> None:
        self._commune = directory
        log = PublishedLog(directory / LOG)
        self._follower = LogFollower(log, saved_state(directory, log))
        self._changes = self._follower.state.admissions.by_id.changes
        self.directory = Directory.of(self._follower.state, Places.read(self._commune))

    def step(self) -> bool:
        """Read what is new; whether somebody was admitted, changed or revoked. StorageError: a wrong log."""
        if not self._follower.step() or self._changes == self._follower.state.admissions.by_id.changes:
            return False
        self._changes = self._follower.state.admissions.by_id.changes
        self.directory = Directory.of(self._follower.state, Places.read(self._commune))
        return True


def saved_state(directory: Path, log: PublishedLog) -> State | None:
    """The state that who leads has saved, if this log goes on from it: then what came before need not be read."""
    found = SavedState(directory / saved.FILE, load_key(directory / LOG_KEY)).load()
    size = log.unverified_checkpoint().size
    if found is None or found.tree.size > size:
        return None
    try:
        is_its_tree = PublishedTree(log.tile, size).root(found.tree.size) == found.tree.root()
    except FormatError:
        return None
    return found.state if is_its_tree else None
