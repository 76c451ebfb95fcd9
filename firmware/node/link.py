"""One MQTT connection to the gateway's broker, made again whenever it ends. Being offline is a state, not an error.

What is kept, repeated or lost (docs/operating/firmware.md has the table), each counted in `reasons`:
 1. Down: `publish` answers False and keeps nothing. Whoever publishes keeps its message and comes back when up.
 2. Connecting fails (unreachable, tls), or the broker refuses us (refused): try again after a back-off that doubles,
    with jitter. Only a connection that lasted ends the doubling: a broker that accepts and drops is not hammered.
 3. The broker accepts and is silent: no answer to a ping within half the keep-alive ends the connection. So does a
    broker that answers pings but for a whole keep-alive confirms nothing of what it was given (unconfirmed).
 4. A write does not finish in time: part of a packet may be out, so the connection ends.
 5. A message too large for the buffer is read away, confirmed and counted: it would be sent again for ever.
 6. The broker breaks the protocol, or drops the connection: it ends, counted with the others (dropped).
 7. We go without a word: the broker publishes our last will, OFFLINE, retained; ONLINE follows when we are back.
"""

import asyncio

from node import mqtt
from node.port import const, ticks_diff, ticks_ms, wait_event_ms, wait_for_ms

_CONNECT_MS = const(10000)
_WRITE_MS = const(5000)
_PACKET_MS = const(5000)  # from a packet's first byte to its last
_BACKOFF_MS = const(200)
_STEADY_MS = const(10000)
_BODY_MAX = const(2048)
_UNCONFIRMED_MAX = const(16)
_ID_MAX = const(0xFFFF)

ONLINE = b'{"state": "online"}'
OFFLINE = b'{"state": "offline"}'

# Why a connection ended or was not made.
UNREACHABLE = "unreachable"
TLS = "tls"
REFUSED = "refused"
SILENT = "silent"
UNCONFIRMED = "unconfirmed"
DROPPED = "dropped"


class Link:
    """Keeps connected and subscribed to `topics`.

    `broker` is the configuration's {host, port, username, password, tls}; `on_message(topic, payload)` gets what
    arrives; `on_change()` is called when `is_up` changed; `random()` gives a float below 1; on `state_topic` others
    read whether we are there.
    """

    def __init__(
        self,
        broker,
        client_id,
        topics,
        on_message,
        on_change,
        random,
        keepalive_s=30,
        retry_ms_max=2000,
        state_topic=None,
    ):
        self._host = broker["host"]
        self._port = broker["port"]
        self._tls_config = broker.get("tls")
        self._tls = self._is_tls_error = None
        self._state_topic = state_topic
        will = state_topic and (state_topic, OFFLINE)
        self._connect = mqtt.connect(client_id, broker.get("username"), broker.get("password"), keepalive_s, will)
        self._topics = topics
        self._on_message = on_message
        self._on_change = on_change
        self._random = random
        self._half_ms = keepalive_s * 500
        self._retry_ms_max = retry_ms_max
        self._reader = self._writer = None
        self._writing = asyncio.Lock()
        self._unconfirmed = set()
        self._last_id = 0
        self._sent_at = 0
        self._confirmed_at = 0
        self._up_at = 0
        self._nudged = asyncio.Event()
        self._phase = UNREACHABLE
        self.is_up = False
        self.connects = 0
        self.failures = 0
        self.reasons = {}
        self.oversized = 0

    async def run(self):
        """Connect, listen, and begin again, for ever."""
        backoff_ms = _BACKOFF_MS
        while True:
            try:
                await wait_for_ms(self._open(), _CONNECT_MS)
                await self._listen()
            except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
                self._count(error)
                if self.is_up and ticks_diff(ticks_ms(), self._up_at) >= _STEADY_MS:
                    backoff_ms = _BACKOFF_MS
            finally:
                await self._close()
            await wait_event_ms(self._nudged, max(int(backoff_ms * (0.5 + self._random() / 2)), 1))
            backoff_ms = min(2 * backoff_ms, self._retry_ms_max)

    def nudge(self):
        """The network is back: try now rather than at the end of the pause."""
        self._nudged.set()

    async def publish(self, topic, payload, retain=False):
        """Hand a message to the broker with QoS 1; False if it cannot be taken now. True promises nothing more."""
        if not self.is_up or len(self._unconfirmed) >= _UNCONFIRMED_MAX:
            return False
        packet_id = self._new_id()
        if not self._unconfirmed:
            self._confirmed_at = ticks_ms()
        self._unconfirmed.add(packet_id)
        try:
            await self._write(mqtt.publish(packet_id, topic, payload, retain))
        except (OSError, asyncio.TimeoutError):
            self._set_up(False)
            return False
        return True

    async def tell(self, topic, payload):
        """Hand a retained message to the broker with QoS 0; False if it cannot be taken now. It may be lost."""
        if not self.is_up:
            return False
        try:
            await self._write(mqtt.publish(None, topic, payload, True))
        except (OSError, asyncio.TimeoutError):
            self._set_up(False)
            return False
        return True

    async def _open(self):
        self._phase = UNREACHABLE
        self._reader, self._writer = await self._dial()
        await self._write(self._connect)
        first = await self._reader.readexactly(1)
        self._phase = REFUSED
        packet = await self._read_packet(first)
        if packet is None or packet[0] != mqtt.CONNACK or packet[1][1:] != b"\0":
            raise ValueError("the broker refuses us")
        await self._write(mqtt.subscribe(self._new_id(), self._topics))
        while True:  # messages may come before the answer
            packet = await self._read_packet(await self._reader.readexactly(1))
            if packet is not None and packet[0] == mqtt.SUBACK:
                break
            await self._handle(packet)
        if mqtt.REFUSED_SUBSCRIPTION in packet[1][2:]:
            raise ValueError("the broker refuses our subscription")
        if self._state_topic:
            await self._write(mqtt.publish(None, self._state_topic, ONLINE, True))
        self.connects += 1
        self._phase = DROPPED
        self._up_at = ticks_ms()
        self._set_up(True)

    async def _dial(self):
        if self._tls_config is None:
            return await asyncio.open_connection(self._host, self._port)
        self._phase = TLS
        if self._tls is None:  # read here, so that a wrong file is counted and tried again, not the end of us
            from node import tls  # a device without it has no room for it

            self._tls = tls.context(self._tls_config)
            self._is_tls_error = tls.is_tls_error
        self._phase = UNREACHABLE
        return await asyncio.open_connection(self._host, self._port, ssl=self._tls, server_hostname=self._host)

    def _count(self, error):
        reason = self._phase
        if reason == UNREACHABLE and self._tls is not None and self._is_tls_error(error):
            reason = TLS
        elif reason == DROPPED and isinstance(error, asyncio.TimeoutError):
            reason = SILENT
        self.failures += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    async def _listen(self):
        """Handle packets until the connection ends; a ping when we were quiet for half the keep-alive."""
        silence_ms = 0
        while True:
            if self._unconfirmed and ticks_diff(ticks_ms(), self._confirmed_at) > 2 * self._half_ms:
                self._phase = UNCONFIRMED
                raise OSError
            wait_ms = self._half_ms - ticks_diff(ticks_ms(), self._sent_at)
            try:
                first = await wait_for_ms(self._reader.readexactly(1), max(wait_ms, 1))
            except asyncio.TimeoutError:
                if silence_ms >= self._half_ms or not self.is_up:
                    raise
                silence_ms += self._half_ms
                await self._write(mqtt.PINGREQ_PACKET)
                continue
            silence_ms = 0
            await self._handle(await wait_for_ms(self._read_packet(first), _PACKET_MS))
            if not self.is_up:
                raise OSError  # a write failed: see publish

    async def _handle(self, packet):
        if packet is None:
            return  # too large, read away
        first, body = packet
        kind = first & 0xF0
        if kind == mqtt.PUBACK:
            self._unconfirmed.discard(int.from_bytes(body[:2], "big"))
            self._confirmed_at = ticks_ms()
        elif kind == mqtt.PUBLISH:
            topic, payload, packet_id = mqtt.parse_publish(first, body)
            self._on_message(topic, payload)
            if packet_id is not None:
                await self._write(mqtt.puback(packet_id))
        elif kind != mqtt.PINGRESP:
            raise ValueError("a packet that no server sends to us")

    async def _read_packet(self, first):
        """(first byte, body) of a packet whose first byte was read; None if it was too large and read away."""
        size = 0
        for shift in range(0, 7 * mqtt.LENGTH_BYTES_MAX, 7):
            digit = (await self._reader.readexactly(1))[0]
            size |= (digit & 0x7F) << shift
            if digit < 0x80:
                break
        else:
            raise ValueError("a length of more than four bytes")
        if size <= _BODY_MAX:
            return first[0], await self._reader.readexactly(size)
        return await self._skip(first[0], size)

    async def _skip(self, first, size):
        self.oversized += 1
        head = await self._reader.readexactly(_BODY_MAX)
        left = size - _BODY_MAX
        while left:
            left -= len(await self._reader.readexactly(min(left, _BODY_MAX)))
        if first & 0xF0 == mqtt.PUBLISH:
            packet_id = mqtt.parse_publish(first, head)[2]
            if packet_id is not None:
                await self._write(mqtt.puback(packet_id))

    async def _write(self, packet):
        writer = self._writer
        async with self._writing:
            if writer is None or writer is not self._writer:
                raise OSError  # the connection ended while others wrote
            self._sent_at = ticks_ms()
            writer.write(packet)
            await wait_for_ms(writer.drain(), _WRITE_MS)

    def _new_id(self):
        self._last_id = self._last_id % _ID_MAX + 1
        return self._last_id

    def _set_up(self, is_up):
        if self.is_up != is_up:
            self.is_up = is_up
            self._on_change()

    async def _close(self):
        self._set_up(False)
        self._unconfirmed = set()
        if self._writer is None:
            return
        self._writer.close()
        try:
            await self._writer.wait_closed()  # on MicroPython only this closes the socket
        except OSError:
            pass
        self._reader = self._writer = None
