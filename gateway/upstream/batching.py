"""When a batch is closed, and what it says. Values only."""

from dataclasses import dataclass

from commonwatt import cose, transport
from commonwatt.identity import SigningKey
from commonwatt.transport import Batch
from gateway.spool import ClosedBatch, Waiting


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is closed at the first of these: blocks, bytes of blocks, seconds that its oldest block has waited."""

    blocks_max: int
    bytes_max: int
    age_s: float


def is_due(limits: BatchLimits, *, count: int, size_bytes: int, age_s: float) -> bool:
    """Whether the blocks that wait should become a batch now."""
    if count == 0:
        return False
    return count >= limits.blocks_max or size_bytes >= limits.bytes_max or age_s >= limits.age_s


def sign_batch(blocks: list[Waiting], *, seq: int, sent_s: int, key: SigningKey, genesis: bytes) -> ClosedBatch:
    """The signed batch of these blocks, exactly as they were received."""
    payload = Batch(seq, sent_s, tuple(block.signed for block in blocks)).encode()
    signed = cose.sign1(payload, key, cose.external_aad(transport.BATCH, genesis))
    assert len(signed) <= transport.BATCH_SIZE_MAX, "settings bound the bytes of a batch"
    return ClosedBatch(seq, transport.sha256(signed), signed)
