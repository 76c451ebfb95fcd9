"""Batches on their way to the aggregator: closed, sent, sent again, until a receipt names their hash.

A broker's PUBACK plays no part: it was measured to precede the loss of what it acknowledged. What counts is a
receipt that the aggregator signed. `receive` and `close_batches` write, so they run inside a transaction; `send` runs
after it, when the bytes are on the disk.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from commonwatt import topics
from commonwatt.clock import Civil, Protocolar
from commonwatt.errors import FormatError
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.registry import DeviceRecord, Snapshot
from gateway.spool import ClosedBatch, Spool
from gateway.upstream.batching import BatchLimits, is_due, sign_batch
from gateway.upstream.trusted import Aggregator

log = logging.getLogger(__name__)


class Publisher(Protocol):
    """What the uplink needs of a connection; `MqttLink` is one."""

    @property
    def is_up(self) -> bool:
        """Whether the broker has accepted us."""
        ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message over; False when there is no connection, and then nothing was queued."""
        ...


@dataclass(slots=True)
class InFlight:
    """A closed batch and when it was last handed to the connection (protocol time); None: not yet."""

    batch: ClosedBatch
    sent_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkRules:
    """How the uplink behaves: when batches close, how many travel at once, when they are sent again."""

    limits: BatchLimits
    in_flight_max: int
    resend_s: float


class Uplink:
    """The window of batches in flight, and the registry as the aggregator last published it."""

    def __init__(
        self,
        *,
        commune: str,
        gateway: bytes,
        key: SigningKey,
        aggregator: Aggregator,
        spool: Spool,
        rules: UplinkRules,
        civil: Civil,
        protocol: Protocolar,
    ) -> None:
        self.sent = self.resent = self.receipted = 0
        self.ignored: Counter[str] = Counter()
        self.snapshot: Snapshot | None = None
        self._batch_topic = topics.of_gateway(commune, gateway, topics.BATCH)
        self._receipt_topic = topics.of_gateway(commune, gateway, topics.RECEIPT)
        self._registry_topic = topics.of_gateway(commune, gateway, topics.REGISTRY)
        self._key, self._aggregator, self._spool, self._rules = key, aggregator, spool, rules
        self._civil, self._protocol = civil, protocol
        self._in_flight = {batch.seq: InFlight(batch) for batch in spool.closed_batches()}
        # Whether they were sent before we were ended is not known; they count as sent before.
        self._sent_before = set(self._in_flight)
        self._waiting_since_s: float | None = None
        if (kept := spool.registry()) is not None:
            self._recall(kept)

    @property
    def devices(self) -> dict[bytes, DeviceRecord]:
        """The devices that may be believed; none before the first registry."""
        return self.snapshot.devices if self.snapshot else {}

    @property
    def in_flight(self) -> int:
        """Batches without a receipt."""
        return len(self._in_flight)

    def subscriptions(self) -> list[str]:
        """What the uplink listens to."""
        return [self._receipt_topic, self._registry_topic]

    def receive(self, message: Message) -> bool:
        """Act on a message from upstream; True if it brought another registry. What cannot be believed is counted."""
        try:
            if message.topic == self._receipt_topic:
                self._settle(message.payload)
            elif message.topic == self._registry_topic:
                return self._offer(message.payload)
        except FormatError as error:
            self.ignored[error.reason] += 1
            log.warning("ignored a message on %s: %s", message.topic, error)
        return False

    def close_batches(self) -> None:
        """Close batches while they are due and the window has room."""
        now_s = self._protocol.monotonic_s()
        if self._spool.waiting_count == 0:
            self._waiting_since_s = None
        elif self._waiting_since_s is None:
            self._waiting_since_s = now_s
        while len(self._in_flight) < self._rules.in_flight_max and self._is_due(now_s):
            self._close_one()
            self._waiting_since_s = now_s  # what is left has been waiting for the window, not for company

    def send(self, link: Publisher) -> None:
        """Hand over every batch that was never sent, or not receipted `resend_s` after it was."""
        now_s = self._protocol.monotonic_s()
        for flight in self._in_flight.values():
            if flight.sent_at_s is not None and now_s - flight.sent_at_s < self._rules.resend_s:
                continue
            if not link.publish(self._batch_topic, flight.batch.signed):
                return
            flight.sent_at_s = now_s
            if flight.batch.seq in self._sent_before:
                self.resent += 1
            else:
                self._sent_before.add(flight.batch.seq)
                self.sent += 1

    def _is_due(self, now_s: float) -> bool:
        age_s = now_s - self._waiting_since_s if self._waiting_since_s is not None else 0.0
        count, size = self._spool.waiting_count, self._spool.waiting_bytes
        return is_due(self._rules.limits, count=count, size_bytes=size, age_s=age_s)

    def _close_one(self) -> None:
        limits = self._rules.limits
        blocks = self._spool.oldest_waiting(count_max=limits.blocks_max, bytes_max=limits.bytes_max)
        batch = sign_batch(
            blocks,
            seq=self._spool.next_batch_seq(),
            sent_s=int(self._civil.now_s()),
            key=self._key,
            genesis=self._aggregator.genesis,
        )
        self._spool.close_batch(batch, blocks)
        self._in_flight[batch.seq] = InFlight(batch)

    def _settle(self, signed: bytes) -> None:
        receipt = self._aggregator.receipt(signed)
        flight = self._in_flight.get(receipt.seq)
        if flight is None or flight.batch.sha256 != receipt.batch_sha256:
            # A second receipt for a resent batch is the harmless case; one for other bytes changes nothing either.
            self.ignored["unknown-batch"] += 1
            return
        count = self._spool.block_count(receipt.seq)
        if any(index >= count for index in receipt.refused):
            raise FormatError("malformed", f"refuses block {max(receipt.refused)} of a batch of {count}")
        for index, reason in receipt.refused.items():
            log.warning("batch %d: block %d was refused: %s", receipt.seq, index, reason.label)
        self._spool.settle(receipt.seq, receipt.refused, int(self._civil.now_s()))
        del self._in_flight[receipt.seq]
        self._sent_before.discard(receipt.seq)
        self.receipted += 1

    def _offer(self, signed: bytes) -> bool:
        before = self.snapshot
        self._believe(signed)
        if self.snapshot == before:
            return False
        self._spool.keep_registry(signed)
        return True

    def _recall(self, kept: bytes) -> None:
        try:
            self._believe(kept)
        except FormatError as error:
            log.warning("the registry in the spool is not believed any more, waiting for another: %s", error)

    def _believe(self, signed: bytes) -> None:
        """Take a snapshot; an older one than we have would bring revoked devices back, so it is refused."""
        snapshot = self._aggregator.snapshot(signed)
        if self.snapshot and snapshot.log_size < self.snapshot.log_size:
            raise FormatError("older-registry", f"log size {snapshot.log_size}, known {self.snapshot.log_size}")
        self.snapshot = snapshot
