"""The intake: batches in, evidence kept, receipts out. Stages with a name each, so that one can be replaced or
measured alone; every stage is a plain function or object from values to values.

receive (mqtt) → parse → verify → evidence (chain and commit) → receipt

A batch that is not signed by an admitted, active gateway is counted and dropped: there is nobody to answer. A block
that is refused leaves every other block of its batch untouched.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from aggregator.chain import Verdict
from aggregator.evidence import Arrival, Evidence
from aggregator.registry import Directory
from commonwatt import cose, topics
from commonwatt.block import SIGNED_SIZE_MAX
from commonwatt.clock import Civil
from commonwatt.errors import FormatError
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.refusal import Refusal
from commonwatt.registry import Verified, verify
from commonwatt.transport import BATCH, BATCH_SIZE_MAX, RECEIPT, Batch, Receipt, sha256

log = logging.getLogger(__name__)

UNKNOWN_GATEWAY = "unknown-gateway"
BAD_BATCH_SIGNATURE = "bad-signature"


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """A batch whose gateway and signature were checked. `sha256`: over its signed bytes; `received_s`: civil."""

    gateway: bytes
    sha256: bytes
    batch: Batch
    received_s: int


@dataclass(slots=True)
class CheckedBatch:
    """A batch on its way through the stages. `verified`: by index; `refused`: why, by index."""

    received: ReceivedBatch
    verified: dict[int, Verified] = field(default_factory=dict)
    refused: dict[int, Refusal] = field(default_factory=dict)


def parse(message: Message, directory: Directory, genesis: bytes, received_s: int) -> ReceivedBatch | str:
    """Stage "parse": the batch, or why it is dropped: "unknown-gateway", "bad-signature", or a FormatError's."""
    gateway = topics.sender(message.topic)
    public_key = directory.gateways.get(gateway) if gateway is not None else None
    if gateway is None or public_key is None:
        return UNKNOWN_GATEWAY
    try:
        signed = cose.parse1(message.payload, size_max=BATCH_SIZE_MAX)
        if not signed.is_signed_by(public_key, cose.external_aad(BATCH, genesis)):
            return BAD_BATCH_SIGNATURE
        batch = Batch.parse(signed.payload)
    except FormatError as error:
        return error.reason
    return ReceivedBatch(gateway, sha256(message.payload), batch, received_s)


def check(received: ReceivedBatch, directory: Directory) -> CheckedBatch:
    """Stage "verify": every block's form, device, standing and signature."""
    checked = CheckedBatch(received)
    for index, signed in enumerate(received.batch.blocks):
        answer = verify(signed, _claimed_device(signed, directory), directory.snapshot.devices)
        if isinstance(answer, Refusal):
            checked.refused[index] = answer
        else:
            checked.verified[index] = answer
    return checked


def keep(batches: Sequence[CheckedBatch], evidence: Evidence, counted: Counter[str]) -> None:
    """Stage "evidence": all blocks of several batches in one commit; conflicts join the refusals."""
    places = [(batch, index) for batch in batches for index in batch.verified]
    arrivals = [
        Arrival(batch.verified[index], batch.received.gateway, batch.received.received_s) for batch, index in places
    ]
    refusals = Counter(f"refused.{reason.label}" for batch in batches for reason in batch.refused.values())
    for (batch, index), verdict in zip(places, evidence.keep(arrivals, counted + refusals), strict=True):
        if verdict is Verdict.CONFLICT:
            batch.refused[index] = Refusal.CONFLICT


def receipt(batch: CheckedBatch, key: SigningKey, genesis: bytes) -> bytes:
    """Stage "receipt": the signed word that every block not named in it is durable."""
    refused = dict(sorted(batch.refused.items()))
    answer = Receipt(batch.received.batch.seq, batch.received.sha256, refused)
    return cose.sign1(answer.encode(), key, cose.external_aad(RECEIPT, genesis))


def _claimed_device(signed: bytes, directory: Directory) -> bytes:
    """Whose block this says it is, by its key's hint; b"" (nobody) for a stranger's or for no message."""
    try:
        kid = cose.parse1(signed, size_max=SIGNED_SIZE_MAX).kid
    except FormatError:
        return b""
    return directory.device_by_hint.get(kid, b"")


class Intake:
    """The stages in a row, for the directory of the day."""

    def __init__(
        self, *, evidence: Evidence, directory: Directory, key: SigningKey, commune: str, genesis: bytes, clock: Civil
    ) -> None:
        self.directory = directory
        self._evidence = evidence
        self._key = key
        self._commune = commune
        self._genesis = genesis
        self._clock = clock

    def take(self, messages: Sequence[Message]) -> list[Message]:
        """Process what was received together; the receipts to publish. Raises StorageError: then nothing was kept."""
        counted: Counter[str] = Counter({"batches.received": len(messages)})
        batches = [batch for message in messages if (batch := self._admit(message, counted)) is not None]
        counted["blocks.received"] = sum(len(batch.received.batch.blocks) for batch in batches)
        keep(batches, self._evidence, counted)
        return [self._answer(batch) for batch in batches]

    def _admit(self, message: Message, counted: Counter[str]) -> CheckedBatch | None:
        received_s = int(self._clock.now_s())
        received = parse(message, self.directory, self._genesis, received_s)
        if isinstance(received, str):
            log.warning("a batch on %s is dropped: %s", message.topic, received)
            counted[f"batches.dropped.{received}"] += 1
            return None
        checked = check(received, self.directory)
        for index, reason in checked.refused.items():
            log.warning("block %d of batch %d is refused: %s", index, received.batch.seq, reason.label)
        return checked

    def _answer(self, batch: CheckedBatch) -> Message:
        topic = topics.of_gateway(self._commune, batch.received.gateway, topics.RECEIPT)
        return Message(topic, receipt(batch, self._key, self._genesis))
