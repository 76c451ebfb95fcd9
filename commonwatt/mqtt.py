"""One MQTT connection (3.1.1, QoS 1) for a service that works at its own pace.

paho's thread receives into a bounded inbox and reconnects; the service takes messages when it ticks. A full
inbox drops the message and counts it: every sender here keeps what it sent until an application's answer names
its hash, so a dropped message comes again. A broker's PUBACK means nothing to us for the same reason.

A service may instead take messages as deliveries and say when it is done with each: then the broker holds back what
is more than it lets be under way, and keeps the rest for us as far as it keeps anything.
"""

import ipaddress
import logging
import queue
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from commonwatt.errors import UserError
from commonwatt.i18n import _

log = logging.getLogger(__name__)

INBOX_MESSAGES_MAX = 10_000
OUTBOX_MESSAGES_MAX = 2_000
"""Messages handed over and not confirmed by the broker; one more is not taken, and its sender keeps it."""
KEEPALIVE_S = 30
RECONNECT_S_MAX = 30
QOS = 1


@dataclass(frozen=True, slots=True)
class Message:
    """One message as received."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Delivery(Message):
    """A message that the broker holds for us until `done` is called, once, from any thread."""

    done: Callable[[], None] = field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class BrokerAccount:
    """Where a broker is and who we are there. `url`: mqtt://host:port or mqtts://host:port.

    `ca_file`: whom to believe over TLS; `cert_file`, `key_file`: our own certificate, where the broker asks for it.
    `plaintext`: somebody answers for a line that is not encrypted and leaves this machine.
    """

    url: str
    username: str
    password: str = field(repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    plaintext: bool = False

    def host_port(self) -> tuple[str, int]:
        """Host and port of the URL; UserError if there is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise UserError(
                f"not a broker's address: {self.url!r}", to_do="write mqtt://host:1883 or mqtts://host:8883"
            )
        return parts.hostname, parts.port or (8883 if parts.scheme == "mqtts" else 1883)

    def require_encryption(self) -> None:
        """UserError if passwords and readings would cross a network for everybody to read, and nobody allowed it."""
        host, _port = self.host_port()
        if not self.url.startswith("mqtts:") and not self.plaintext and not is_this_machine(host):
            raise UserError(
                _("{url} is not encrypted: everybody on the way could read the password").format(url=self.url),
                to_do=_("write mqtts:// and ca_file, or plaintext = true if you answer for the line"),
            )

    def tls_context(self) -> ssl.SSLContext:
        """How we speak TLS: the broker's certificate must be its authority's, in date, under its name."""
        path: Path | None = self.ca_file
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                path = self.cert_file
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise UserError(
                _("cannot be used for TLS: {error}").format(error=error),
                where=path,
                to_do=_("give the file that broker-config wrote"),
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class MqttLink:
    """A connection that is started and stopped by `with`, comes back by itself, and subscribes anew each time.

    `deliver`: called by paho's thread with each message, which then does not come into the inbox; it must not wait.
    """

    def __init__(
        self,
        account: BrokerAccount,
        *,
        client_id: str,
        subscriptions: Sequence[str],
        will: Message | None = None,
        reconnect_s_max: int = RECONNECT_S_MAX,
        outbox_messages_max: int = OUTBOX_MESSAGES_MAX,
        deliver: Callable[[Delivery], object] | None = None,
    ) -> None:
        account.require_encryption()
        self.inbox: queue.Queue[Message] = queue.Queue(INBOX_MESSAGES_MAX)
        self.dropped = 0
        self.connects = 0
        self.trouble: str | None = None
        self._account = account
        self._subscriptions = [(topic, QOS) for topic in subscriptions]
        self._deliver = deliver
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=True, manual_ack=deliver is not None
        )
        self._client.username_pw_set(account.username, account.password)
        if account.url.startswith("mqtts:"):
            self._client.tls_set_context(account.tls_context())
        if will is not None:
            self._client.will_set(will.topic, will.payload, QOS, retain=True)
        self._client.reconnect_delay_set(1, reconnect_s_max)
        self._client.max_queued_messages_set(outbox_messages_max)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_log = self._on_log
        self._client.on_message = self._on_message

    def __enter__(self) -> "MqttLink":
        host, port = self._account.host_port()
        self._client.connect_async(host, port, KEEPALIVE_S)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        # Without the way back to us nobody else holds paho's client, and it closes its own sockets at once.
        self._client.on_connect = self._client.on_connect_fail = self._client.on_disconnect = None
        self._client.on_message = self._client.on_log = None

    @property
    def is_up(self) -> bool:
        """Whether the broker has accepted us; a message published while it is down is not sent."""
        return self._client.is_connected()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message over; False when there is no connection or it is too slow: then nothing was queued."""
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
            self._note(_("the broker refuses {user}: {reason}").format(user=self._account.username, reason=reason))
            return
        self.trouble = None
        self.connects += 1
        log.info("%s: connected as %s", self._account.url, self._account.username)
        if self._subscriptions:
            client.subscribe(self._subscriptions)

    def _on_message(self, _client: paho.Client, _user: Any, message: paho.MQTTMessage) -> None:
        if self._deliver is not None:
            done = self._done(message.mid, message.qos, self.connects)
            self._deliver(Delivery(message.topic, bytes(message.payload), done))
            return
        try:
            self.inbox.put_nowait(Message(message.topic, bytes(message.payload)))
        except queue.Full:
            self.dropped += 1

    def _done(self, mid: int, qos: int, connects: int) -> Callable[[], None]:
        def done() -> None:
            # A new connection counts its messages anew: the same number may be another message, not yet kept.
            if connects == self.connects:
                self._client.ack(mid, qos)

        return done

    def _on_connect_fail(self, _client: paho.Client, _user: Any) -> None:
        self._note(trouble_of(sys.exception()))  # paho calls us while it handles what went wrong

    def _on_disconnect(self, _client: paho.Client, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure and not self.trouble:
            self._note(_("the broker ended the connection: {reason}").format(reason=reason))

    def _on_log(self, _client: paho.Client, _user: Any, level: int, text: str) -> None:
        # What a broker thinks of our certificate it says only when we read: paho logs that and calls it a lost line.
        if level == paho.MQTT_LOG_ERR and "CERTIFICATE_REQUIRED" in text:
            self._note(_("the broker wants a certificate of ours: set cert_file and key_file"))
        elif level == paho.MQTT_LOG_ERR and "_ALERT_" in text:
            self._note(_("the broker refuses our certificate: {reason}").format(reason=text))

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s: %s", self._account.url, trouble)
        self.trouble = trouble


def trouble_of(error: BaseException | None) -> str:
    """Why there is no connection, in words for whoever looks after the gateway."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _("the broker's certificate is not accepted: {reason}").format(reason=error.verify_message)
    if isinstance(error, ssl.SSLError | ConnectionResetError):
        reason = getattr(error, "reason", None) or error.strerror
        return _("no TLS with this broker ({reason}): is it its TLS port?").format(reason=reason)
    if isinstance(error, TimeoutError):
        return _("the broker does not answer")
    return _("the broker cannot be reached: {reason}").format(reason=getattr(error, "strerror", None) or error)


def is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
