"""One MQTT connection to the gateway's broker, made again whenever it ends. Being offline is a state, not an error.

What is kept, repeated or lost:
 1. Down: `publish` answers False and keeps nothing. Whoever publishes keeps its message and comes back when up.
 2. Connecting fails, or the broker refuses us: try again after a back-off that doubles, with jitter.
 3. The broker accepts and is silent: no answer to a ping within half the keep-alive ends the connection.
 4. A write does not finish in time: part of a packet may be out, so the connection ends.
 5. A message too large for the buffer is read away, confirmed and counted: it would be sent again for ever.
 6. The broker breaks the protocol: the connection ends, counted with the others.
"""

import asyncio

from node import mqtt
from node.port import const, sleep_ms, ticks_diff, ticks_ms, wait_for_ms

_CONNECT_MS = const(10000)
_WRITE_MS = const(5000)
_PACKET_MS = const(5000)  # from a packet's first byte to its last
_BACKOFF_MS = const(200)
_BODY_MAX = const(2048)
_UNCONFIRMED_MAX = const(16)
_ID_MAX = const(0xFFFF)


class Link:
    """Keeps connected and subscribed to `topics`.

    `broker` is the configuration's {host, port, username, password}; `on_message(topic, payload)` gets what arrives;
    `on_change()` is called when `is_up` changed; `random()` gives a float below 1; `will`: (topic, payload) or None.
    """

    def __init__(
        self, broker, client_id, topics, on_message, on_change, random, keepalive_s=30, retry_ms_max=2000, will=None
    ):
        self._host = broker["host"]
        self._port = broker["port"]
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
        self.is_up = False
        self.connects = 0
        self.failures = 0
        self.oversized = 0

    async def run(self):
        """Connect, listen, and begin again, for ever."""
        backoff_ms = _BACKOFF_MS
        while True:
            try:
                await wait_for_ms(self._open(), _CONNECT_MS)
                backoff_ms = _BACKOFF_MS
                await self._listen()
            except (OSError, EOFError, ValueError, asyncio.TimeoutError):
                self.failures += 1
            finally:
                await self._close()
            await sleep_ms(int(backoff_ms * (0.5 + self._random() / 2)))
            backoff_ms = min(2 * backoff_ms, self._retry_ms_max)

    async def publish(self, topic, payload):
        """Hand a message to the broker with QoS 1; False if it cannot be taken now. True promises nothing more."""
        if not self.is_up or len(self._unconfirmed) >= _UNCONFIRMED_MAX:
            return False
        packet_id = self._new_id()
        self._unconfirmed.add(packet_id)
        try:
            await self._write(mqtt.publish(packet_id, topic, payload))
        except (OSError, asyncio.TimeoutError):
            self._set_up(False)
            return False
        return True

    async def _open(self):
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        await self._write(self._connect)
        packet = await self._read_packet(await self._reader.readexactly(1))
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
        self.connects += 1
        self._set_up(True)

    async def _listen(self):
        """Handle packets until the connection ends; a ping when we were quiet for half the keep-alive."""
        silence_ms = 0
        while True:
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
