"""Batches straight from an MQTT broker, which holds back what is more than it lets be under way; and claims."""

import queue
from collections.abc import Callable

from commonwatt import topics
from commonwatt.mqtt import BrokerAccount, Delivery, MqttLink

RECONNECT_S_MAX = 5

Claims = queue.SimpleQueue[Delivery]
"""Claims that came: few, small, retained by the broker, and not to wait behind batches."""


def link(
    account: BrokerAccount,
    commune: str,
    *,
    client_id: str,
    claims: Claims,
    offer: Callable[[Delivery], object] | None,
) -> MqttLink:
    """The connection over which receipts and registries leave, and claims come. `offer`: takes batches, if they come
    this way as well."""

    def deliver(delivery: Delivery) -> None:
        if topics.claim_parties(delivery.topic) is not None:
            claims.put(delivery)
        elif offer is not None:
            offer(delivery)

    channels = [f"{topics.CLAIM}/+", *([topics.BATCH] if offer else [])]
    return MqttLink(
        account,
        client_id=client_id,
        subscriptions=[topics.of_gateway(commune, "+", channel) for channel in channels],
        reconnect_s_max=RECONNECT_S_MAX,
        deliver=deliver,
    )
