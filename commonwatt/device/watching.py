"""Collects what a device says of itself on cw/<device>/state, for whoever calibrates it from another room."""

import json
import queue
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from commonwatt import topics
from commonwatt.errors import CommonwattError
from commonwatt.mqtt import KEEPALIVE_S, QOS, BrokerAccount

PATIENCE_S = 180
"""A device tells its state once a minute if it changed: after three minutes of nothing, nothing comes."""


def collect(account: BrokerAccount, device: bytes, count: int, take: Callable[[dict[str, Any]], None]) -> None:
    """Give `count` states that tell of the meter to `take`, as they come; CommonwattError if none comes any more.

    The retained one is passed over: it may be from before the device started.
    """
    host, port = account.host_port()
    told: queue.Queue[bytes] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, clean_session=True)
    client.username_pw_set(account.username, account.password)
    if account.url.startswith("mqtts:"):
        client.tls_set_context(account.tls_context())
    topic = topics.of_device(device, topics.STATE)
    client.on_connect = lambda client, *_: client.subscribe(topic, QOS)
    client.on_message = lambda _client, _user, message: None if message.retain else told.put(bytes(message.payload))
    try:
        client.connect(host, port, KEEPALIVE_S)
    except OSError as error:
        raise CommonwattError(f"{host}:{port}: {error}") from error
    client.loop_start()
    try:
        for _ in range(count):
            take(_next(told, topic))
    finally:
        client.disconnect()
        client.loop_stop()


def _next(told: "queue.Queue[bytes]", topic: str) -> dict[str, Any]:
    """The next state with a meter in it."""
    while True:
        try:
            state = json.loads(told.get(timeout=PATIENCE_S))
        except queue.Empty:
            raise CommonwattError(f"nothing came on {topic} for {PATIENCE_S} s") from None
        except ValueError:
            continue  # "offline", or no state at all
        if isinstance(state, dict) and isinstance(state.get("meter"), dict):
            return state
