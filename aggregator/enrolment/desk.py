"""Takes the claims that gateways pass on out of what was received; the steward looks at them later (judge.py)."""

import logging
from collections.abc import Sequence
from pathlib import Path

from aggregator.enrolment.store import enrolling
from commonwatt import topics
from commonwatt.clock import Civil
from commonwatt.device_claim import DeviceClaim, read_claim
from commonwatt.errors import FormatError
from commonwatt.mqtt import Message

log = logging.getLogger(__name__)


class ClaimDesk:
    """Keeps claims, durable before `sort_out` returns; remembers which it kept, since gateways repeat them."""

    def __init__(self, private_db: Path, *, clock: Civil) -> None:
        self._private_db = private_db
        self._clock = clock
        self._kept: dict[bytes, bytes] = {}

    def sort_out(self, messages: Sequence[Message]) -> list[Message]:
        """The messages that are no claims, in their order. Raises StorageError."""
        others: list[Message] = []
        claims: list[tuple[DeviceClaim, bytes]] = []
        for message in messages:
            parties = topics.claim_parties(message.topic)
            if parties is None:
                others.append(message)
                continue
            gateway, device = parties
            try:
                if self._kept.get(device) != message.payload:
                    claims.append((read_claim(message.payload, device), gateway))
            except FormatError as error:
                log.warning("a claim on %s is refused: %s", message.topic, error.reason)
        if claims:
            self._keep(claims)
        return others

    def _keep(self, claims: Sequence[tuple[DeviceClaim, bytes]]) -> None:
        with enrolling(self._private_db) as store:
            for claim, gateway in claims:
                if store.keep(claim, gateway, int(self._clock.now_s())):
                    self._kept[claim.device] = claim.signed
                else:
                    log.warning("a claim of %s finds no room", claim.device.hex())
