"""The link against a broker that misbehaves, and the delivery over it."""

import asyncio
from hashlib import sha256

from node import cbor, mqtt
from node.deliver import WINDOW, Delivery
from node.fileflash import FileFlash
from node.flashlog import FlashJournal
from node.link import Link

from broker import PINGREQ, SUBSCRIBE, Broker
from neutral import folder, raises, run


class Device:
    """A link and a delivery over a journal of `blocks` signed blocks, as main.py wires them."""

    def __init__(self, settings, blocks=0, keepalive_s=30):
        self.wake = asyncio.Event()
        self.changed = asyncio.Event()
        self.messages = []
        self.journal = FlashJournal(FileFlash(folder() + "/journal", 24))
        for number in range(blocks):
            self.journal.add_sample((900 * number, ((1, number),)))
            self.journal.add_block(b"signed block %d" % number)
        self.link = Link(
            settings,
            "d",
            ["cw/d/ack"],
            self.on_message,
            self.on_change,
            lambda: 0.0,
            keepalive_s,
            50,
            "cw/d/state",
        )
        self.delivery = Delivery(self.journal, self.link, "cw/d/block", self.wake, lambda: 0.0, 100)

    def on_message(self, topic, payload):
        self.messages.append((topic, payload))
        self.delivery.on_ack(payload)
        self.changed.set()

    def on_change(self):
        self.wake.set()
        self.changed.set()

    async def until(self, holds):
        while not holds():
            await self.changed.wait()
            self.changed.clear()


def story(told, blocks=0, keepalive_s=30, **habits):
    """Run `told(broker, device)` with both alive, then end them."""

    async def tell():
        broker = Broker(**habits)
        device = Device(await broker.start(), blocks, keepalive_s)
        tasks = [asyncio.create_task(device.link.run()), asyncio.create_task(device.delivery.run())]
        try:
            await told(broker, device)
        finally:
            for task in tasks:
                # Again until it ends: wait_for of CPython 3.11 can swallow a cancellation (python/cpython#86296).
                while not task.done():
                    task.cancel()
                    await asyncio.sleep(0)
            await broker.stop()

    run(tell())


def _message(payload, packet_id=7):
    return mqtt.publish(packet_id, "cw/d/ack", payload)


def _ack(seq, signed, reason=0):
    return cbor.encode([1, seq, sha256(signed).digest(), reason])


def test_packets_by_the_standard():
    """The bytes of each packet are those of MQTT 3.1.1."""
    assert mqtt.connect("d", "u", "p", 30).hex() == "101300044d51545404c2001e0001640001750001" + "70"
    assert mqtt.connect("d", None, None, 30).hex() == "100d00044d51545404020" + "01e000164"
    assert mqtt.connect("d", None, None, 30, ("t", b"w"))[9] == 0x2E
    assert mqtt.subscribe(1, ["a"]) == b"\x82\x06\x00\x01\x00\x01a\x01"
    assert mqtt.publish(2, "a", b"b") == b"\x32\x06\x00\x01a\x00\x02b"
    assert mqtt.publish(2, "a", b"b", True) == b"\x33\x06\x00\x01a\x00\x02b"
    assert mqtt.publish(None, "a", b"b", True) == b"\x31\x04\x00\x01ab"
    assert mqtt.puback(258) == b"\x40\x02\x01\x02"
    assert mqtt.publish(1, "a", bytes(200))[:3] == b"\x32\xcd\x01"
    assert mqtt.parse_publish(0x32, b"\x00\x01a\x00\x02b") == ("a", b"b", 2)
    assert mqtt.parse_publish(0x30, b"\x00\x01ab") == ("a", b"b", None)


def test_parse_publish_when_cut():
    """A packet that ends within its topic or identifier, or whose topic is not text, is refused."""
    for body in (b"", b"\x00\x05a", b"\x00\x01a\x00", b"\x00\x01\xff\x00\x01"):
        assert raises(ValueError, mqtt.parse_publish, 0x32, body), body


def test_link_when_the_broker_is_well():
    """It connects with its will, subscribes, publishes, receives, and confirms what it received."""

    async def told(broker, device):
        await device.until(lambda: device.link.is_up)
        assert await device.link.publish("cw/d/block", b"hello")
        await broker.until(broker.published)
        assert broker.published() == [("cw/d/block", b"hello")]
        assert b'\x00\x0acw/d/state\x00\x14{"state": "offline"}' in broker.got[0][1]
        await broker.send(_message(b"nonsense"))
        await broker.until(lambda: broker.count(mqtt.PUBACK))
        assert device.messages == [("cw/d/ack", b"nonsense")]
        assert device.delivery.acks_malformed == 1

    story(told)


def test_link_when_a_message_comes_before_the_subscription_is_confirmed():
    """The standard allows it; it is taken like any other."""

    async def told(broker, device):
        await device.until(lambda: device.link.is_up and device.messages)
        assert device.messages == [("cw/d/ack", b"early")]

    story(told, before_suback=_message(b"early"))


def test_link_when_the_broker_refuses():
    """A refused connection or subscription is tried again, counted, and never counts as up."""

    async def told(broker, device):
        await broker.until(lambda: broker.connections > 2)
        assert device.link.failures >= 2
        assert device.link.connects == 0
        assert not await device.link.publish("cw/d/block", b"")

    story(told, connack=b"\x20\x02\x00\x05")
    story(told, suback=b"\x80")


def test_link_when_the_broker_speaks_something_else():
    """Garbage ends the connection, and the next one is tried."""

    async def told(broker, device):
        await broker.until(lambda: broker.connections > 2)
        assert device.link.connects == 0

    story(told, connack=b"HTTP/1.1 400 Bad Request\r\n" * 4)
    story(told, connack=b"\x20\xff\xff\xff\xff\x01")


def test_link_when_the_connection_drops():
    """It is made again, and the subscription with it."""

    async def told(broker, device):
        for times in range(1, 4):
            await device.until(lambda: device.link.is_up)
            assert device.link.connects == times
            await broker.drop()
            await device.until(lambda: not device.link.is_up)
        await device.until(lambda: device.link.is_up)
        assert broker.count(SUBSCRIBE) == 4

    story(told)


def test_link_when_the_broker_falls_silent():
    """A ping without an answer ends the connection."""

    async def told(broker, device):
        await broker.until(lambda: broker.connections > 1)
        assert broker.count(PINGREQ) >= 1
        assert device.link.failures >= 1

    story(told, keepalive_s=1, pong=b"")


def test_link_when_nothing_happens():
    """Pings keep a quiet connection alive."""

    async def told(broker, device):
        await broker.until(lambda: broker.count(PINGREQ) > 2)
        assert broker.connections == 1

    story(told, keepalive_s=1)


def test_link_when_it_comes_and_goes():
    """Whoever looks reads that we are online, retained, after each connection; the will says the contrary for us."""

    async def told(broker, device):
        for times in (1, 2):
            await broker.until(lambda times=times: len(broker.told) == times)
            assert broker.told[-1] == ("cw/d/state", b'{"state": "online"}', True)
            await broker.drop()
        assert device.link.reasons["dropped"] >= 1

    story(told)


def test_link_when_the_broker_accepts_and_drops():
    """It is counted, and the pauses grow all the same: nobody is hammered."""

    async def told(broker, device):
        device.link._retry_ms_max = 100000
        await broker.until(lambda: broker.connections == 3)
        assert device.link.connects >= 2
        assert device.link.reasons == {"dropped": device.link.failures}

    story(told, drops=True)


def test_link_when_the_broker_confirms_nothing():
    """A broker that answers pings and takes messages without ever confirming one is left, and tried again."""

    async def told(broker, device):
        await broker.until(lambda: broker.connections == 2)
        assert device.link.reasons == {"unconfirmed": 1}
        assert broker.count(PINGREQ) >= 1
        assert device.journal.backlog() == 1

    story(told, blocks=1, keepalive_s=1, confirms=False)


def test_link_when_the_network_is_back():
    """A nudge ends the pause."""

    async def told(broker, device):
        device.link._retry_ms_max = 100000
        for times in range(1, 8):
            await broker.until(lambda times=times: broker.connections >= times)
            device.link.nudge()
        assert device.link.failures >= 6

    story(told, connack=b"\x20\x02\x00\x05")


def test_link_when_its_certificate_authority_is_not_one():
    """A missing or wrong file is a state that is counted and tried again, not the end of the device."""
    path = folder() + "/ca.pem"

    async def told(_broker, device):
        device.link._tls_config = {"ca": path}
        while device.link.reasons.get("tls", 0) < 2:
            await asyncio.sleep(0.01)
        with open(path, "w") as file:
            file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        while device.link.reasons["tls"] < 4:
            await asyncio.sleep(0.01)

    story(told)


def test_link_when_a_message_is_too_large():
    """It is read away, confirmed so that it does not come again, counted; the next message is read."""

    async def told(broker, device):
        await device.until(lambda: device.link.is_up)
        await broker.send(_message(bytes(5000), 9))
        await broker.send(_message(b"small", 10))
        await broker.until(lambda: broker.count(mqtt.PUBACK) == 2)
        assert device.link.oversized == 1
        assert device.messages == [("cw/d/ack", b"small")]
        assert broker.connections == 1

    story(told)


def test_delivery_of_a_backlog():
    """Oldest first, no more than a window at a time, until each is acknowledged by its hash."""

    async def told(broker, device):
        await broker.until(lambda: len(broker.published()) >= WINDOW)
        payloads = [payload for _topic, payload in broker.published()]
        assert payloads[:WINDOW] == [b"signed block %d" % number for number in range(WINDOW)]
        assert b"signed block %d" % WINDOW not in payloads
        for number in range(20):
            signed = b"signed block %d" % number
            await broker.until(lambda signed=signed: ("cw/d/block", signed) in broker.published())
            await broker.send(_message(_ack(number, signed), 20 + number))
        await device.until(lambda: device.journal.backlog() == 0)
        assert device.delivery.acknowledged == 20

    story(told, blocks=20)


def test_delivery_when_no_acknowledgement_comes():
    """The same bytes are sent again, and again after the connection was lost."""

    async def told(broker, device):
        await broker.until(lambda: len(broker.published()) >= 3)
        await broker.drop()
        before = len(broker.published())
        await broker.until(lambda: broker.connections == 2 and len(broker.published()) > before)
        assert len(set(broker.published())) == 1
        assert device.delivery.resent >= 3
        assert device.journal.backlog() == 1

    story(told, blocks=1)


def test_delivery_when_the_acknowledgement_is_wrong():
    """A wrong hash, a seq that does not wait and what is no acknowledgement settle nothing; each is counted."""

    async def told(broker, device):
        await device.until(lambda: device.link.is_up)
        for number, wrong in enumerate(
            [
                _ack(0, b"other bytes"),
                _ack(5, b"signed block 0"),
                b"",
                cbor.encode([2, 0, sha256(b"signed block 0").digest(), 0]),
                cbor.encode([1, "0", sha256(b"signed block 0").digest(), 0]),
                cbor.encode([1, 0]),
                cbor.encode(7),
            ]
        ):
            await broker.send(_message(wrong, number + 1))
        await device.until(lambda: len(device.messages) == 7)
        delivery = device.delivery
        assert (delivery.acks_wrong_hash, delivery.acks_unexpected, delivery.acks_malformed) == (1, 1, 5)
        assert device.journal.backlog() == 1

    story(told, blocks=1)


def test_delivery_when_a_block_is_refused_for_good():
    """It is dropped from the journal and counted by its reason; the others go on."""

    async def told(broker, device):
        await device.until(lambda: device.link.is_up)
        await broker.send(_message(_ack(0, b"signed block 0", 6), 1))
        await broker.send(_message(_ack(1, b"signed block 1", 0), 2))
        await device.until(lambda: device.journal.backlog() == 0)
        assert device.journal.refused == {6: 1}
        assert device.delivery.acknowledged == 1

    story(told, blocks=2)
