"""What the operator asks for, on its way through a gateway: what is not believed, who is told what, and when."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from commonwatt import asked
from commonwatt.asked import Ask, Asked, Requests
from commonwatt.mqtt import Message
from commonwatt.topics import of_device, of_gateway
from gateway.database import Database
from gateway.devices.asking import AskingDesk
from gateway.observe.homeassistant import asked_now, asked_of
from gateway.testing import MemoryLink, SigningAggregator, SigningDevice
from gateway.upstream.trusted import Aggregator
from tests.gateway.support import COMMUNE, Town, wait_for
from tests.gateway.test_homeassistant import DOCUMENTED, Heard

GATEWAY, ANA, BEN = (bytes.fromhex(text * 16) for text in ("aa", "0a", "0b"))
START_S = 1_721_606_400
PEAK, SURPLUS = Ask(START_S + 3600, START_S + 7200, True), Ask(START_S + 7200, START_S + 9000, False)
TOPIC = of_gateway(COMMUNE, GATEWAY, "requests")


@dataclass
class Voice(SigningAggregator):
    """An aggregator that asks for things."""

    def asked(self, size: int, *asks: Ask) -> bytes:
        return self.sign(Asked(size, asks).encode(), asked.ASKED)

    def requests(self, size: int, everybody: bytes, *groups: tuple[bytes, tuple[bytes, ...]]) -> bytes:
        return self.sign(Requests(size, everybody, groups).encode(), asked.REQUESTS)


VOICE = Voice()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "spool.db") as database:
        yield database


def desk_of(database: Database, voice: Voice = VOICE) -> AskingDesk:
    aggregator = Aggregator(voice.key.public_key, voice.genesis)
    return AskingDesk(database=database, aggregator=aggregator, commune=COMMUNE, gateway=GATEWAY)


def hear(desk: AskingDesk, database: Database, payload: bytes) -> None:
    with database.transaction():
        assert desk.receive(Message(TOPIC, payload))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed"),
        (bytes(asked.REQUESTS_SIZE_MAX + 1), "too-large"),
        (VOICE.requests(9, VOICE.asked(9)) + b"\x00", "not-canonical"),
        (Voice().requests(9, VOICE.asked(9)), "bad-signature"),
        (VOICE.requests(9, Voice().asked(9)), "bad-signature"),
        (VOICE.requests(9, VOICE.asked(9), (b"peak", (ANA,))), "malformed"),
        (VOICE.sign(Requests(9, VOICE.asked(9), ()).encode(), "registry"), "bad-signature"),
        (VOICE.requests(6, VOICE.asked(6)), "older-requests"),
    ],
    ids=["empty", "large", "tail", "stranger", "stranger inside", "words inside", "other kind", "older"],
)
def test_requests_when_they_cannot_be_believed(database: Database, payload: bytes, reason: str) -> None:
    """Counted by its reason; what was known stays, and no device hears of it."""
    desk, link = desk_of(database), MemoryLink()
    hear(desk, database, VOICE.requests(7, VOICE.asked(7, PEAK)))
    desk.heard(ANA)
    desk.hand_over(link, 1)
    link.take()
    hear(desk, database, payload)
    desk.hand_over(link, 1)
    assert (dict(desk.ignored), link.take()) == ({reason: 1}, [])
    assert desk.asks([], START_S) == (PEAK,)


def test_devices_when_they_are_told(database: Database) -> None:
    """Each hears its own as it was signed, once; again on another connection, after a restart, when it changes."""
    desk, link = desk_of(database), MemoryLink()
    for device in (ANA, BEN):
        desk.heard(device)
    desk.hand_over(link, 1)
    assert link.take() == []  # nobody has said anything yet
    to_all, to_ana = VOICE.asked(7, SURPLUS), VOICE.asked(7, PEAK, SURPLUS)
    hear(desk, database, VOICE.requests(7, to_all, (to_ana, (ANA,))))
    told = [Message(of_device(ANA, "asked"), to_ana), Message(of_device(BEN, "asked"), to_all)]
    for connection, expected in ((1, told), (1, []), (2, told)):
        desk.hand_over(link, connection)
        assert link.take() == expected
    desk.heard(ANA)
    desk.hand_over(link, 2)
    assert link.take() == []
    link.is_up = False
    hear(desk, database, VOICE.requests(8, to_all))
    desk.hand_over(link, 2)
    link.is_up = True
    desk.hand_over(link, 2)
    assert link.take() == [Message(of_device(ANA, "asked"), to_all)]
    again = desk_of(database)
    again.heard(BEN)
    again.hand_over(link, 1)
    assert link.take() == [told[1]]
    assert desk_of(database, Voice()).asks([], START_S) == ()  # kept, and not believed under another key


def test_people_when_their_devices_are_asked(database: Database) -> None:
    """What is shown is what somebody here is asked for; who has no device yet sees what everybody is asked for."""
    desk = desk_of(database)
    hear(desk, database, VOICE.requests(7, VOICE.asked(7), (VOICE.asked(7, PEAK, SURPLUS), (ANA,))))
    assert desk.asks([], START_S) == ()
    assert desk.asks([ANA], START_S) == (PEAK, SURPLUS)
    desk.heard(ANA)
    assert desk.asks([BEN], PEAK.end_s) == (SURPLUS,)
    assert desk.described([], PEAK.start_s)["now"] == "peak"
    assert (desk.described([], START_S)["waiting"], desk.described([], START_S)["log_size"]) == (1, 7)


def test_home_assistant_when_the_hour_comes() -> None:
    """On in the window, off outside; the next one's times, and nothing when there is none."""
    during = asked_now([PEAK, SURPLUS], PEAK.start_s)
    assert (during["peak"], during["surplus"], during["kind"]) == ("ON", "OFF", "peak")
    assert during["end"] == "2024-07-22T02:00:00+00:00"
    assert asked_now([SURPLUS], SURPLUS.start_s)["surplus"] == "ON"
    assert asked_now([PEAK], START_S)["peak"] == "OFF"
    assert asked_now([], START_S) == {"peak": "OFF", "surplus": "OFF", "start": None, "end": None, "kind": None}
    sensors = dict(asked_of(GATEWAY))
    assert len({sensor["unique_id"] for sensor in sensors.values()}) == len(sensors) == 3
    documented = DOCUMENTED | {"json_attributes_topic"}  # of sensor.mqtt and binary_sensor.mqtt
    assert all(set(sensor) <= documented for sensor in sensors.values())


@pytest.mark.story
def test_gateway_when_the_operator_asks(tmp_path: Path) -> None:
    """A real gateway on a real broker: a device and Home Assistant hear of a peak that runs, others' do not."""
    device, other = SigningDevice(ANA), SigningDevice(BEN)
    extra = "home_assistant = true"
    town = Town(tmp_path, [device, other], extra=extra, roster_extra=extra).found()
    voice = Voice(town.aggregator.key, town.aggregator.genesis)
    to_ana = voice.asked(7, PEAK)
    topic, own = of_gateway(COMMUNE, town.gateway, "requests"), of_device(ANA, "asked")
    with (
        town.broker(),
        town.client("aggregator") as aggregator,
        town.client(ANA.hex(), own, of_device(BEN, "asked")) as ana,
        town.client("homeassistant", "homeassistant/#", "cw/+/requests") as ears,
        town.running_gateway("--clock", f"{PEAK.start_s}@{time.time()}x1"),
    ):
        heard, hears = Heard(ana), Heard(ears)
        ana.publish(of_device(ANA, "state"), b'{"state": "online"}', retain=True)
        aggregator.publish(topic, voice.requests(7, voice.asked(7), (to_ana, (ANA,))), retain=True)
        heard.wait_bytes(own, to_ana)
        assert of_device(BEN, "asked") not in heard.newest
        hears.wait_for(f"homeassistant/binary_sensor/{town.gateway.hex()}/peak/config")
        told = {"start": "2024-07-22T01:00:00+00:00", "end": "2024-07-22T02:00:00+00:00", "kind": "peak"}
        hears.wait(of_device(town.gateway, "requests"), {"peak": "ON", "surplus": "OFF", **told})
        wait_for(lambda: town.status()["requests"]["now"] == "peak", "the status")
        assert json.loads(hears.newest[f"homeassistant/sensor/{town.gateway.hex()}/next/config"])["device_class"]
