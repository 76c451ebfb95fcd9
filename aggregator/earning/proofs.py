"""Which block stands behind what a device showed at a time."""

import sqlalchemy as sa

from aggregator.evidence import store
from aggregator.evidence.store import Kept


class Proofs:
    """The blocks of a device in a time; of several that end alike the one with the smallest seq counts."""

    def __init__(
        self, connection: sa.Connection, device: bytes, start_s: int, end_s: int, *, evidence_id_max: int
    ) -> None:
        self._blocks = list(store.blocks(connection, [device], start_s, end_s, id_max=evidence_id_max))

    def block_of(self, time_s: int) -> Kept:
        """The block that gave the last reading up to a time; there is one that began before."""
        begun = (block for block in self._blocks if block.start_s <= time_s)
        return max(begun, key=lambda block: (min(block.end_s, time_s), -block.seq))

    def of(self, time_s: int) -> bytes:
        """Its SHA-256."""
        return self.block_of(time_s).sha256
