"""Batches straight from an MQTT broker, which holds back what is more than it lets be under way; claims; and what
gateways say of themselves."""

import queue
from collections.abc import Callable

from commonwatt import topics
from commonwatt.mqtt import BrokerAccount, Delivery, MqttLink

RECONNECT_S_MAX = 5

Claims = queue.SimpleQueue[Delivery]
"""Claims that came: few, small, retained by the broker, and not to wait behind batches."""

Hear = Callable[[Delivery], object]
"""Takes the state of a gateway: kept by the broker, and worth no place in a queue."""


def link(
    account: BrokerAccount,
    commune: str,
    *,
    client_id: str,
    claims: Claims,
    hear: Hear,
    offer: Callable[[Delivery], object] | None,
) -> MqttLink:
    """The connection over which receipts and registries leave, and claims come. `offer`: takes batches, if they come
    this way as well."""

    def deliver(delivery: Delivery) -> None:
        if topics.claim_parties(delivery.topic) is not None:
            claims.put(delivery)
        elif delivery.topic.endswith(f"/{topics.STATE}"):
            hear(delivery)
            delivery.done()
        elif offer is not None:
            offer(delivery)

    channels = [f"{topics.CLAIM}/+", topics.STATE, *([topics.BATCH] if offer else [])]
    return MqttLink(
        account,
        client_id=client_id,
        subscriptions=[topics.of_gateway(commune, "+", channel) for channel in channels],
        reconnect_s_max=RECONNECT_S_MAX,
        deliver=deliver,
    )
