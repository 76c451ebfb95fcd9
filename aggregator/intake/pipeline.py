"""The intake: batches in, evidence kept, receipts out. Stages with a name each, so that one can be replaced or
measured alone; every stage is a plain function or object from values to values.

receive (gate) → parse → verify → chain → evidence (commit) → receipt

A batch that is not signed by an admitted, active gateway is counted and dropped: there is nobody to answer. A block
that is refused leaves every other block of its batch untouched.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregator.commune.registry import Directory
from aggregator.intake import arrivals
from aggregator.intake.arrivals import Arrivals, Received
from aggregator.intake.chain import Verdict
from aggregator.intake.checking import NONE
from aggregator.intake.evidence import Evidence
from aggregator.intake.workers import Answers, Checkers
from aggregator.observe import stages as stage
from aggregator.observe.stages import Stages
from commonwatt import cose, topics
from commonwatt.clock import Civil
from commonwatt.errors import FormatError
from commonwatt.evidence_page import octets
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.refusal import Refusal
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


@dataclass(slots=True)
class BatchUnderWay:
    """A batch whose blocks are being checked. `refused`: why, by index, once they were."""

    received: ReceivedBatch
    answers: Answers
    refused: dict[int, Refusal] = field(default_factory=dict)


def keep(batches: Sequence[BatchUnderWay], evidence: Evidence, counted: Counter[str], stages: Stages) -> None:
    """Stages "chain" and "evidence": all blocks of several batches in one commit; conflicts join the refusals."""
    places: list[tuple[BatchUnderWay, int]] = []
    parts: list[Arrivals] = [NONE]
    for batch in batches:
        checked, took_s = batch.answers.result()
        stages.add(stage.VERIFY, took_s)
        batch.refused.update(checked.refused)
        for index, refusal in checked.refused.items():
            counted[f"refused.{refusal.label}"] += 1
            log.warning("block %d of batch %d is refused: %s", index, batch.received.batch.seq, refusal.label)
        places += [(batch, index) for index in checked.row]
        parts.append(checked.arrivals)
    received = Received(
        arrivals.concatenate(parts),
        [batch.received.batch.blocks[index] for batch, index in places],
        octets(batch.received.gateway for batch, _index in places),
        np.array([batch.received.received_s for batch, _index in places], dtype=np.int64),
    )
    for (batch, index), verdict in zip(places, evidence.keep(received, counted, stages), strict=True):
        if verdict is Verdict.CONFLICT:
            batch.refused[index] = Refusal.CONFLICT


def receipt(batch: BatchUnderWay, key: SigningKey, genesis: bytes) -> bytes:
    """Stage "receipt": the signed word that every block not named in it is durable."""
    refused = dict(sorted(batch.refused.items()))
    answer = Receipt(batch.received.batch.seq, batch.received.sha256, refused)
    return cose.sign1(answer.encode(), key, cose.external_aad(RECEIPT, genesis))


class Intake:
    """The stages in a row. `directory`: whom we believe; another one counts from the next batch on."""

    def __init__(
        self,
        *,
        evidence: Evidence,
        directory: Directory,
        key: SigningKey,
        commune: str,
        genesis: bytes,
        clock: Civil,
        processes: int = 0,
        stages: Stages | None = None,
    ) -> None:
        self._evidence = evidence
        self._key = key
        self._commune = commune
        self._genesis = genesis
        self._clock = clock
        self._stages = stages or Stages()
        self._under_way: list[BatchUnderWay] = []
        self._counted: Counter[str] = Counter()
        self.directory = directory
        self._checkers = Checkers(processes)

    def close(self) -> None:
        """End the processes that check."""
        self._checkers.close()

    @property
    def evidence(self) -> Evidence:
        """What keeps the blocks."""
        return self._evidence

    @property
    def under_way(self) -> int:
        """Batches begun and not finished."""
        return len(self._under_way)

    def begin(self, messages: Sequence[Message]) -> None:
        """Stages "parse" and "verify" of what was received together; other processes may be at it for a while."""
        self._counted["batches.received"] += len(messages)
        for message in messages:
            with self._stages.timed(stage.PARSE):
                received = parse(message, self.directory, self._genesis, int(self._clock.now_s()))
            if isinstance(received, str):
                log.warning("a batch on %s is dropped: %s", message.topic, received)
                self._counted[f"batches.dropped.{received}"] += 1
                continue
            self._counted["blocks.received"] += len(received.batch.blocks)
            answers = self._checkers.submit(received.batch.blocks, self.directory.keys)
            self._under_way.append(BatchUnderWay(received, answers))

    def finish(self, *, leave: int = 0) -> list[Message]:
        """Commit what was begun, but for the last `leave` batches; the receipts to publish.

        Raises StorageError: then nothing was kept.
        """
        done = self._under_way[: len(self._under_way) - leave]
        if done or (self._counted and not leave):
            counted, self._counted = self._counted, Counter()
            keep(done, self._evidence, counted, self._stages)
            del self._under_way[: len(done)]
        return [self._answer(batch) for batch in done]

    def take(self, messages: Sequence[Message]) -> list[Message]:
        """Process what was received together; the receipts to publish. Raises StorageError: then nothing was kept."""
        self.begin(messages)
        return self.finish()

    def _answer(self, batch: BatchUnderWay) -> Message:
        topic = topics.of_gateway(self._commune, batch.received.gateway, topics.RECEIPT)
        with self._stages.timed(stage.RECEIPT):
            return Message(topic, receipt(batch, self._key, self._genesis))
