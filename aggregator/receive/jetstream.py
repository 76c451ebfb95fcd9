"""Batches from a NATS JetStream stream that captures the MQTT topic of batches, through one durable pull consumer.

Every aggregator of a commune pulls from the same consumer, and each batch goes to one of them; one that was handed
over and not acknowledged, because its aggregator was killed, comes to another. A batch is acknowledged when its
blocks are durable. The stream spares a restart the wait for gateways to send again; nothing is believed because of
it: it was measured to lose what it had confirmed (docs/decisions/0021-many-aggregators.md).

nats-py lives in an event loop of its own, in a thread of its own.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from aggregator.receive.gate import Gate
from commonwatt import topics
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.mqtt import BrokerAccount, Delivery, is_this_machine

log = logging.getLogger(__name__)

CONSUMER = "aggregator"
FETCH_MAX = 32
"""Batches asked for at once; as many of the largest always find room at the gate, or none are asked for."""
FETCH_S = 0.5
UNDER_WAY_MAX = 512
"""Batches that all aggregators together were handed and did not acknowledge: the bound that the broker keeps."""
ACK_WAIT_S = 30.0
"""After so long without an acknowledgement a batch goes to another aggregator."""
BATCHES_PER_GATEWAY_MAX = 64
"""Kept by the stream for one gateway; an older one gives way, its gateway sends it again."""
STREAM_BYTES_MAX = 2**30
RECONNECT_S = 2.0


def stream_name(commune: str) -> str:
    """The stream of a commune's batches."""
    return f"cw-{commune}-batch"


class JetStreamReceiver:
    """Pulls batches and offers them to the gate, for `with`. `url`: nats://host:4222 or tls://host:4222."""

    def __init__(
        self, url: str, account: BrokerAccount, commune: str, gate: Gate, *, ack_wait_s: float = ACK_WAIT_S
    ) -> None:
        _require_encryption(url, account)
        self.trouble: str | None = _("not connected yet")
        self._url = url
        self._account = account
        self._commune = commune
        self._gate = gate
        self._ack_wait_s = ack_wait_s
        self._loop = asyncio.new_event_loop()
        self._acknowledging: set[asyncio.Task[None]] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jetstream", daemon=True)

    def __enter__(self) -> "JetStreamReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stopping.set()
        self._thread.join(ACK_WAIT_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._pull_until_stopped())

    async def _pull_until_stopped(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._pull()
            except (NatsError, OSError, APIError) as error:
                self._note(_("JetStream: {error}").format(error=str(error) or type(error).__name__))
                await asyncio.sleep(RECONNECT_S)

    async def _pull(self) -> None:
        """Connect and pull until told to stop or the connection ends."""
        client = await nats.connect(
            self._url,
            user=self._account.username,
            password=self._account.password,
            tls=self._account.tls_context() if self._url.startswith("tls:") else None,
            name=f"aggregator-{self._commune}",
            allow_reconnect=False,
            error_cb=_log_error,
        )
        try:
            subscription = await self._subscribe(client)
            self.trouble = None
            while not self._stopping.is_set() and client.is_connected:
                if not self._gate.has_room(FETCH_MAX):
                    await asyncio.sleep(FETCH_S / 10)
                    continue
                with suppress(TimeoutError):  # nothing came
                    for message in await subscription.fetch(FETCH_MAX, timeout=FETCH_S):
                        self._gate.offer(self._delivery(client, message))
        finally:
            await client.close()
        if not self._stopping.is_set():
            raise NatsError(_("the broker ended the connection"))

    async def _subscribe(self, client: Client) -> JetStreamContext.PullSubscription:
        """Make the stream if there is none, and the consumer."""
        jetstream = client.jetstream()
        name, subject = stream_name(self._commune), f"cw.{self._commune}.*.{topics.BATCH}"
        try:
            await jetstream.stream_info(name)
        except NotFoundError:
            config = api.StreamConfig(
                name=name,
                subjects=[subject],
                retention=api.RetentionPolicy.WORK_QUEUE,
                discard=api.DiscardPolicy.OLD,
                max_msgs_per_subject=BATCHES_PER_GATEWAY_MAX,
                max_bytes=STREAM_BYTES_MAX,
            )
            await jetstream.add_stream(config)
        consumer = api.ConsumerConfig(
            durable_name=CONSUMER,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=self._ack_wait_s,
            max_ack_pending=UNDER_WAY_MAX,
            filter_subject=subject,
        )
        await jetstream.add_consumer(name, consumer)
        return await jetstream.pull_subscribe_bind(CONSUMER, name)

    def _delivery(self, client: Client, message: Msg) -> Delivery:
        return Delivery(message.subject.replace(".", "/"), message.data, self._done(client, message))

    def _done(self, client: Client, message: Msg) -> Callable[[], None]:
        def done() -> None:
            with suppress(RuntimeError):  # the loop has ended: the batch is brought again, and answered as before
                self._loop.call_soon_threadsafe(self._acknowledge, client, message)

        return done

    def _acknowledge(self, client: Client, message: Msg) -> None:
        if client.is_connected:
            task = self._loop.create_task(message.ack())
            self._acknowledging.add(task)
            task.add_done_callback(self._acknowledged)

    def _acknowledged(self, task: "asyncio.Task[None]") -> None:
        self._acknowledging.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("not acknowledged, so it comes again: %s", error)

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s: %s", self._url, trouble)
        self.trouble = trouble


async def _log_error(error: Exception) -> None:
    log.debug("nats: %s", error)


def _require_encryption(url: str, account: BrokerAccount) -> None:
    """UserError for what is no address, and where a password would cross a network for everybody to read."""
    parts = urlsplit(url)
    if parts.scheme not in ("nats", "tls") or not parts.hostname:
        raise UserError(
            _("not a NATS server's address: {url!r}").format(url=url), to_do="nats://host:4222, tls://host:4222"
        )
    if parts.scheme == "nats" and not account.plaintext and not is_this_machine(parts.hostname):
        raise UserError(
            _("{url} is not encrypted: everybody on the way could read the password").format(url=url),
            to_do=_("write tls:// and ca_file, or plaintext = true if you answer for the line"),
        )
