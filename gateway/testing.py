"""Short real stand-ins for what the gateway meets: devices that sign, an aggregator that signs, a connection."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from commonwatt import block, cose, transport
from commonwatt.block import Block, Channel
from commonwatt.identity import SigningKey, new_id
from commonwatt.mqtt import Message
from commonwatt.refusal import Refusal
from commonwatt.registry import DeviceRecord, Snapshot, Status
from commonwatt.topics import BLOCK, of_device
from commonwatt.transport import Batch, Receipt

START_S = 1_721_606_400
STEP_S = 900
READINGS = 4


@dataclass
class SigningDevice:
    """A device that signs blocks of four readings, one after the other in time."""

    id: bytes = field(default_factory=new_id)
    key: SigningKey = field(default_factory=SigningKey.generate)
    seq: int = 0
    prev: bytes = block.FIRST_LINK

    def next_block(self, *, growth_wh: int = 10) -> bytes:
        """The next signed block of its chain."""
        start_s = START_S + self.seq * READINGS * STEP_S
        channel = Channel(1, 1000 + self.seq * READINGS * growth_wh, (growth_wh,) * (READINGS - 1))
        signed = Block(self.seq, self.prev, start_s, STEP_S, 0, (channel,)).sign(self.key)
        self.seq += 1
        self.prev = block.link(signed)
        return signed

    def message(self, signed: bytes) -> Message:
        """The block as it arrives from the broker."""
        return Message(of_device(self.id, BLOCK), signed)

    def record(self, status: Status = Status.ACTIVE) -> DeviceRecord:
        """How the registry knows it."""
        return DeviceRecord(self.id, self.key.public_key, status, 9_000)


@dataclass
class SigningAggregator:
    """An aggregator's voice: it signs receipts and registries of one commune."""

    key: SigningKey = field(default_factory=SigningKey.generate)
    genesis: bytes = bytes(32)

    def receipt(self, batch: bytes, refused: Mapping[int, Refusal] | None = None) -> bytes:
        """The receipt of a signed batch as received."""
        seq = read_batch(batch).seq
        return self.sign(Receipt(seq, transport.sha256(batch), refused or {}).encode(), transport.RECEIPT)

    def registry(self, records: Iterable[DeviceRecord], *, log_size: int = 1) -> bytes:
        """A snapshot of these devices."""
        return self.sign(Snapshot.of(log_size, records).encode(), transport.REGISTRY)

    def sign(self, payload: bytes, kind: str) -> bytes:
        """Any payload, for one purpose in this commune."""
        return cose.sign1(payload, self.key, cose.external_aad(kind, self.genesis))


@dataclass
class MemoryLink:
    """A connection that keeps what is published and delivers what a test puts into `incoming`."""

    is_up: bool = True
    connects: int = 1
    dropped: int = 0
    trouble: str | None = None
    published: list[Message] = field(default_factory=list)
    incoming: deque[Message] = field(default_factory=deque)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Keep the message, if there is a connection."""
        if self.is_up:
            self.published.append(Message(topic, payload))
        return self.is_up

    def receive(self, timeout_s: float) -> Message | None:
        """The next message of `incoming`, without waiting."""
        return self.incoming.popleft() if self.incoming else None

    def take(self) -> list[Message]:
        """What was published since the last call."""
        taken, self.published = self.published, []
        return taken


def read_batch(signed: bytes) -> Batch:
    """The content of a signed batch; its signature is not looked at."""
    return Batch.parse(cose.parse1(signed, size_max=transport.BATCH_SIZE_MAX).payload)
