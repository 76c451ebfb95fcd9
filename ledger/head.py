"""The head that is about to be signed, kept apart from store and log: DIR/head.db, replaced by compare-and-swap.

Order: commit, swap the head, tiles, checkpoint, witnesses. Whatever else is lost, copied or restored, no second
history is signed: a ledger that does not continue this head is not opened; of two that are open the slower stops.
"""

from pathlib import Path

from commonwatt.errors import StorageError
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Signer
from ledger.log.publish import Publisher
from ledger.log.tiles import TileTree
from ledger.witness.decide import Remembered
from ledger.witness.store import WitnessStore


class HeadPublisher(Publisher):
    """A publisher that signs only what continues the head; the log is the first witness of itself."""

    def __init__(self, root: Path, signer: Signer, *, head: Path) -> None:
        super().__init__(root, signer)
        self._origin = signer.name
        self._head = head
        with WitnessStore(head) as store:
            self._last = store.last(self._origin)

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest that may have been signed: the one on disk, or the head when its publication was cut off."""
        published = super().last_checkpoint()
        if published is not None and published.size >= self._last.size:
            if published.size == self._last.size and published.root != self._last.root:
                raise self._differs("the published checkpoint has another root than the head")
            return published
        return Checkpoint(self._origin, self._last.size, self._last.root) if self._last.size else published

    def begin(self, tree: TileTree) -> None:
        """Swap the head, then begin to write; StorageError if the head is no longer the one that we know."""
        self._swap(tree)
        super().begin(tree)

    def publish(self, tree: TileTree) -> Checkpoint:
        """Swap the head, then publish; StorageError if the head is no longer the one that we know."""
        self._swap(tree)
        return super().publish(tree)

    def _swap(self, tree: TileTree) -> None:
        new = Remembered(tree.size, tree.root())
        if new != self._last:
            with WitnessStore(self._head) as store:
                if not store.swap(self._origin, self._last, new, b""):
                    raise self._differs("another process has signed a head of this log")
            self._last = new

    def _differs(self, what: str) -> StorageError:
        return StorageError(
            what,
            where=self._head,
            to_do="stop whatever else has this log open, then find out which is the true ledger",
        )
