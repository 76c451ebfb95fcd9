"""The desk: takes batches from the gate, has them kept, answers them, and lets the broker forget them. In that order.

Every aggregator of a commune has one; they need to know nothing of each other.
"""

from collections.abc import Sequence
from typing import Protocol

from aggregator.clock_watch import ClockWatch
from aggregator.enrolment.desk import ClaimDesk
from aggregator.intake import pipeline
from aggregator.intake.pipeline import Intake
from aggregator.observe.stages import ANSWER, RECEIVE, Stages
from aggregator.receive.gate import Gate
from aggregator.receive.mqtt import Claims
from commonwatt.mqtt import Delivery

BATCHES_PER_COMMIT = 64
"""Batches that share one commit: enough to keep up with a slow disk, few enough that a receipt comes soon."""

CLAIMS_MAX = 64
"""Claims looked at in one step."""

WAIT_S = 0.1
"""How long a tick waits for a batch before it looks at the clock."""


class Publishing(Protocol):
    """The part of a connection that receipts need."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message over; False when there is no connection."""
        ...


class Desk:
    """`genesis`: of the ledger. `watch`: hears from batches what time it is elsewhere."""

    def __init__(
        self,
        *,
        gate: Gate,
        claims: Claims,
        claim_desk: ClaimDesk,
        intake: Intake,
        link: Publishing,
        watch: ClockWatch,
        genesis: bytes,
        stages: Stages,
    ) -> None:
        self.intake = intake
        self._gate = gate
        self._claims = claims
        self._claim_desk = claim_desk
        self._link = link
        self._watch = watch
        self._genesis = genesis
        self._stages = stages
        self._kept_later: list[Delivery] = []

    def step(self, wait_s: float = WAIT_S) -> int:
        """Receive, keep, answer; how many batches came. Raises StorageError, and then nothing of it is answered.

        When as much came as one commit takes, more is waiting: then these are verified while those before them are
        committed. Otherwise everything is answered at once. A receipt that is not sent is asked for again by the
        batch coming again.
        """
        self._keep_claims()
        deliveries: list[Delivery] = []
        if self._gate.wait(wait_s):
            with self._stages.timed(RECEIVE):
                deliveries = self._gate.take(BATCHES_PER_COMMIT)
        if not deliveries and not self._kept_later:
            return 0
        before = self.intake.under_way
        self.intake.begin(deliveries)
        is_busy = len(deliveries) == BATCHES_PER_COMMIT
        receipts = self.intake.finish(leave=self.intake.under_way - before if is_busy else 0)
        with self._stages.timed(ANSWER):
            for receipt in receipts:
                self._link.publish(receipt.topic, receipt.payload)
            self._let_go(deliveries, is_busy=is_busy)
        self._hear(deliveries)
        return len(deliveries)

    def _keep_claims(self) -> None:
        came: list[Delivery] = []
        while len(came) < CLAIMS_MAX and not self._claims.empty():
            came.append(self._claims.get())
        if came:
            self._claim_desk.sort_out(came)
            for delivery in came:
                delivery.done()

    def _let_go(self, deliveries: list[Delivery], *, is_busy: bool) -> None:
        """The broker may forget what is durable, or of no use."""
        durable = self._kept_later if is_busy else self._kept_later + deliveries
        self._kept_later = deliveries if is_busy else []
        for delivery in durable:
            delivery.done()

    def _hear(self, deliveries: Sequence[Delivery]) -> None:
        if self._watch.doubt is None:
            return
        for delivery in deliveries:
            received = pipeline.parse(delivery, self.intake.directory, self._genesis, 0)
            if not isinstance(received, str):
                self._watch.hear(received.gateway, received.batch.sent_s)
