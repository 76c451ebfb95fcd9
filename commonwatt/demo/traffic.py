"""The demo's ear on the broker: which messages just passed. It listens with rights that others have anyway."""

from commonwatt.mqtt import BrokerAccount, MqttLink
from commonwatt.topics import BATCH, BLOCK, of_device, of_gateway, sender
from commonwatt.transport import sha256


class Traffic:
    """Sees blocks (with the gateway's account) and batches (with the aggregator's) as they pass the broker.

    `resent`: batches that passed with bytes that had passed before.
    """

    def __init__(
        self, *, gateway: BrokerAccount, aggregator: BrokerAccount, commune: str, names: dict[bytes, str]
    ) -> None:
        self.resent = 0
        self._names = names
        self._batches_seen: set[bytes] = set()
        self._blocks = MqttLink(
            gateway, client_id="demo-blocks", subscriptions=[of_device("+", BLOCK)], reconnect_s_max=1
        )
        self._batches = MqttLink(
            aggregator, client_id="demo-batches", subscriptions=[of_gateway(commune, "+", BATCH)], reconnect_s_max=1
        )

    def __enter__(self) -> "Traffic":
        self._blocks.__enter__()
        self._batches.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.__exit__()
        self._batches.__exit__()

    def passed(self, wait_s: float) -> set[tuple[str, str]]:
        """The (channel, reader's name or "") of messages since the last call; waits for a batch at most `wait_s`."""
        seen: set[tuple[str, str]] = set()
        while (batch := self._batches.receive(0 if seen else wait_s)) is not None:
            digest = sha256(batch.payload)
            self.resent += digest in self._batches_seen
            self._batches_seen.add(digest)
            seen.add((BATCH, ""))
        while (block := self._blocks.receive(0)) is not None:
            device = sender(block.topic)
            if device in self._names:
                seen.add((BLOCK, self._names[device]))
        return seen
