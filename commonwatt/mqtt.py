"""One MQTT connection (3.1.1, QoS 1) for a service that works at its own pace.

paho's thread receives into a bounded inbox and reconnects; the service takes messages when it ticks. A full
inbox drops the message and counts it: every sender here keeps what it sent until an application's answer names
its hash, so a dropped message comes again. A broker's PUBACK means nothing to us for the same reason.
"""

import logging
import queue
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from commonwatt.errors import UserError

log = logging.getLogger(__name__)

INBOX_MESSAGES_MAX = 10_000
KEEPALIVE_S = 30
RECONNECT_S_MAX = 30
QOS = 1


@dataclass(frozen=True, slots=True)
class Message:
    """One message as received."""

    topic: str
    payload: bytes


@dataclass(frozen=True, kw_only=True)
class BrokerAccount:
    """Where a broker is and who we are there. `url`: mqtt://host:port or mqtts://host:port."""

    url: str
    username: str
    password: str = field(repr=False)
    ca_file: str | None = None

    def host_port(self) -> tuple[str, int]:
        """Host and port of the URL; UserError if there is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise UserError(
                f"not a broker's address: {self.url!r}", to_do="write mqtt://host:1883 or mqtts://host:8883"
            )
        return parts.hostname, parts.port or (8883 if parts.scheme == "mqtts" else 1883)


class MqttLink:
    """A connection that is started and stopped by `with`, comes back by itself, and subscribes anew each time."""

    def __init__(
        self,
        account: BrokerAccount,
        *,
        client_id: str,
        subscriptions: Sequence[str],
        will: Message | None = None,
        reconnect_s_max: int = RECONNECT_S_MAX,
    ) -> None:
        self.inbox: queue.Queue[Message] = queue.Queue(INBOX_MESSAGES_MAX)
        self.dropped = 0
        self.connects = 0
        self._account = account
        self._subscriptions = [(topic, QOS) for topic in subscriptions]
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=True)
        self._client.username_pw_set(account.username, account.password)
        if account.url.startswith("mqtts:"):
            self._client.tls_set(ca_certs=account.ca_file)
        if will is not None:
            self._client.will_set(will.topic, will.payload, QOS, retain=True)
        self._client.reconnect_delay_set(1, reconnect_s_max)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    def __enter__(self) -> "MqttLink":
        host, port = self._account.host_port()
        self._client.connect_async(host, port, KEEPALIVE_S)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def is_up(self) -> bool:
        """Whether the broker has accepted us; a message published while it is down is not sent."""
        return self._client.is_connected()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message to the connection; False when there is none, and then nothing was queued."""
        if not self.is_up:
            return False
        return self._client.publish(topic, payload, QOS, retain=retain).rc == paho.MQTT_ERR_SUCCESS

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None after `timeout_s` of protocol time."""
        try:
            return self.inbox.get(timeout=timeout_s) if timeout_s > 0 else self.inbox.get_nowait()
        except queue.Empty:
            return None

    def _on_connect(self, client: paho.Client, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("the broker refuses %s: %s", self._account.username, reason)
            return
        self.connects += 1
        client.subscribe(self._subscriptions)

    def _on_message(self, _client: paho.Client, _user: Any, message: paho.MQTTMessage) -> None:
        try:
            self.inbox.put_nowait(Message(message.topic, bytes(message.payload)))
        except queue.Full:
            self.dropped += 1
