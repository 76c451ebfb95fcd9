"""The demo's ear on the brokers: which messages just passed. It listens with rights that others have anyway."""

from contextlib import ExitStack

from commonwatt.demo.brokers import AGGREGATOR
from commonwatt.demo.founding import COMMUNE, Commune
from commonwatt.mqtt import MqttLink
from commonwatt.topics import BATCH, BLOCK, of_device, of_gateway, sender
from commonwatt.transport import sha256

Passed = tuple[str, str]
"""The channel of a message, and the name of the reader or gateway that sent it."""


class Traffic:
    """Sees blocks (with the gateways' accounts) and batches (with the aggregator's) as they pass the brokers.

    `resent`: batches that passed with bytes that had passed before.
    """

    def __init__(self, commune: Commune) -> None:
        self.resent = 0
        ids = commune.ids
        self._names = {identifier: name for name, identifier in (ids.devices | ids.gateways).items()}
        self._batches_seen: set[bytes] = set()
        self._blocks = [
            MqttLink(
                broker.account(ids.gateways[name].hex()),
                client_id="demo-blocks",
                subscriptions=[of_device("+", BLOCK)],
                reconnect_s_max=1,
            )
            for name, broker in commune.brokers.of_gateway.items()
        ]
        self._batches = MqttLink(
            commune.brokers.town.account(AGGREGATOR),
            client_id="demo-batches",
            subscriptions=[of_gateway(COMMUNE, "+", BATCH)],
            reconnect_s_max=1,
        )
        self._connected = ExitStack()

    def __enter__(self) -> "Traffic":
        for link in (*self._blocks, self._batches):
            self._connected.enter_context(link)
        return self

    def __exit__(self, *_: object) -> None:
        self._connected.close()

    def passed(self, wait_s: float) -> set[Passed]:
        """What passed since the last call; waits for a batch at most `wait_s`."""
        seen: set[Passed] = set()
        while (batch := self._batches.receive(0 if seen else wait_s)) is not None:
            digest = sha256(batch.payload)
            self.resent += digest in self._batches_seen
            self._batches_seen.add(digest)
            self._note(seen, BATCH, sender(batch.topic))
        for link in self._blocks:
            while (block := link.receive(0)) is not None:
                self._note(seen, BLOCK, sender(block.topic))
        return seen

    def _note(self, seen: set[Passed], channel: str, who: bytes | None) -> None:
        if who in self._names:
            seen.add((channel, self._names[who]))
