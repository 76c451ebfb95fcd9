"""A broker for one device, small enough to misbehave on purpose. Speaks MQTT 3.1.1 from the server's side."""

import asyncio

from node import mqtt

CONNECT = 0x10
SUBSCRIBE = 0x80
PINGREQ = 0xC0


class Broker:
    """Answers by the book unless told otherwise; `got` keeps (kind, body) of every packet, oldest first.

    `told` keeps what came at QoS 0; `confirms`: whether it sends PUBACK; `drops`: whether it hangs up after SUBACK.
    """

    def __init__(
        self,
        connack=b"\x20\x02\x00\x00",
        suback=b"\x01",
        before_suback=b"",
        pong=b"\xd0\x00",
        confirms=True,
        drops=False,
    ):
        self.connack = connack
        self.suback = suback
        self.before_suback = before_suback
        self.pong = pong
        self.confirms = confirms
        self.drops = drops
        self.told = []
        self.got = []
        self.connections = 0
        self.changed = asyncio.Event()
        self.port = None
        self._server = None
        self._writers = []

    async def start(self):
        """Listen on a free port of loopback."""
        for port in range(20000 + id(self) % 20000, 65000):
            try:
                self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
                self.port = port
                return {"host": "127.0.0.1", "port": port, "username": "u", "password": "p"}
            except OSError:
                continue
        raise OSError("no free port")

    async def stop(self):
        """End the connections and the service."""
        await self.drop()
        self._server.close()
        await self._server.wait_closed()

    async def drop(self):
        """End every connection at once."""
        writers, self._writers = self._writers, []
        for writer in writers:
            await _close(writer)

    async def send(self, data):
        """Send raw bytes to the newest connection."""
        self._writers[-1].write(data)
        await self._writers[-1].drain()

    async def until(self, holds):
        """Wait until `holds()` after some packet or connection."""
        while not holds():
            await self.changed.wait()
            self.changed.clear()

    def published(self):
        """(topic, payload) of every message the device published."""
        return [mqtt.parse_publish(0x32, body)[:2] for kind, body in self.got if kind == mqtt.PUBLISH]

    def count(self, kind):
        return len([1 for got, _body in self.got if got == kind])

    async def _serve(self, reader, writer):
        self._writers.append(writer)
        self.connections += 1
        try:
            while True:
                first = (await reader.readexactly(1))[0]
                size, shift, digit = 0, 0, 0x80
                while digit & 0x80:
                    digit = (await reader.readexactly(1))[0]
                    size |= (digit & 0x7F) << shift
                    shift += 7
                body = await reader.readexactly(size)
                if first & 0xF6 == mqtt.PUBLISH:
                    self.told.append(mqtt.parse_publish(first, body)[:2] + (first & 1 == 1,))
                    self.changed.set()
                    continue
                self.got.append((first & 0xF0, body))
                writer.write(self._answer(first & 0xF0, body))
                await writer.drain()
                self.changed.set()
                if self.drops and first & 0xF0 == SUBSCRIBE:
                    raise EOFError
        except (OSError, EOFError):
            if writer in self._writers:
                self._writers.remove(writer)
                await _close(writer)

    def _answer(self, kind, body):
        if kind == CONNECT:
            return self.connack
        if kind == SUBSCRIBE:
            return self.before_suback + bytes([0x90, 2 + len(self.suback)]) + body[:2] + self.suback
        if kind == mqtt.PUBLISH and not self.confirms:
            return b""
        if kind == mqtt.PUBLISH:
            end = 2 + int.from_bytes(body[:2], "big")
            return mqtt.puback(int.from_bytes(body[end : end + 2], "big"))
        return self.pong if kind == PINGREQ else b""


async def _close(writer):
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass
