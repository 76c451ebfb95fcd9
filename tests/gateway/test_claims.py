"""Claims and states of devices: what is believed, kept, told upstream, and shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commonwatt import cbor, cose
from commonwatt.device_claim import AAD, SIZE_MAX
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.topics import of_device, of_gateway
from gateway.database import Database
from gateway.devices import claims, states
from gateway.devices.claims import ClaimDesk
from gateway.devices.states import States
from gateway.testing import MemoryLink, SigningDevice
from tests.gateway.support import COMMUNE, Town, wait_for

GATEWAY, ACCOUNT, CODE = bytes.fromhex("aa" * 16), bytes(16), bytes(32)


def claim(device: SigningDevice, key: SigningKey | None = None, account: bytes = ACCOUNT) -> bytes:
    payload = cbor.encode([1, device.id, device.key.public_key, account, CODE])
    return cose.sign1(payload, key or device.key, AAD)


def desk_of(database: Database) -> ClaimDesk:
    return ClaimDesk(database=database, commune=COMMUNE, gateway=GATEWAY)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "spool.db") as database:
        yield database


def test_claim_when_it_comes(database: Database) -> None:
    """It is published upstream, retained, unchanged: once for each connection, also by a restarted gateway."""
    device, link = SigningDevice(), MemoryLink()
    desk, message = desk_of(database), Message(of_device(device.id, "claim"), claim(device))
    with database.transaction():
        desk.receive(message, {}, 0)
        desk.receive(message, {}, 0)
    told = [Message(of_gateway(COMMUNE, GATEWAY, f"claim/{device.id.hex()}"), message.payload)]
    for desk_now, connection, expected in (
        (desk, 1, told),
        (desk, 1, []),
        (desk, 2, told),
        (desk_of(database), 1, told),
    ):
        desk_now.pass_on(link, connection)
        assert link.take() == expected
    assert desk.claims[device.id].described()["account"] == ACCOUNT.hex()


def test_claim_when_the_device_is_set_up_anew(database: Database) -> None:
    """The newest claim replaces the one before it."""
    device, desk = SigningDevice(), desk_of(database)
    with database.transaction():
        for account in (ACCOUNT, bytes([1]) * 16):
            desk.receive(Message(of_device(device.id, "claim"), claim(device, account=account)), {}, 0)
    assert [kept.account for kept in desk_of(database).claims.values()] == [bytes([1]) * 16]


def test_claim_when_it_cannot_be_believed(database: Database) -> None:
    """Of another device, by another key, of an admitted device under another key, or no claim: counted, not kept."""
    device, other, desk = SigningDevice(), SigningDevice(), desk_of(database)
    ours = of_device(device.id, "claim")
    admitted = {device.id: SigningDevice(device.id).record()}
    with database.transaction():
        for topic, signed, reason in (
            (ours, claim(other), "wrong-device"),
            ("cw/nobody/claim", claim(device), "wrong-device"),
            (ours, claim(device, other.key), "bad-signature"),
            (ours, claim(device), "other-key"),
            (
                ours,
                cose.sign1(cbor.encode([2, device.id, device.key.public_key, ACCOUNT, CODE]), device.key, AAD),
                "malformed",
            ),
            (ours, cose.sign1(cbor.encode([1]), device.key, AAD), "malformed"),
            (ours, b"", "malformed"),
            (ours, bytes(SIZE_MAX + 1), "too-large"),
        ):
            before = desk.refused[reason]
            desk.receive(Message(topic, signed), admitted, 0)
            assert desk.refused[reason] == before + 1
    assert desk.claims == {}


def test_claims_when_there_is_no_room(database: Database) -> None:
    """At the limit all are kept; one more is not, but a known device may still claim anew."""
    known, one_more, desk = SigningDevice(), SigningDevice(), desk_of(database)
    again = claim(known, account=bytes([1]) * 16)
    with database.transaction():
        desk.receive(Message(of_device(known.id, "claim"), claim(known)), {}, 0)
        stand_in = desk.claims[known.id]
        desk.claims.update({number.to_bytes(16, "big"): stand_in for number in range(claims.CLAIMS_MAX - 1)})
        for device, signed in ((one_more, claim(one_more)), (known, again)):
            desk.receive(Message(of_device(device.id, "claim"), signed), {}, 0)
    assert (len(desk.claims), desk.refused) == (claims.CLAIMS_MAX, {"no-room": 1})
    assert desk.claims[known.id].signed == again


@pytest.mark.parametrize(
    ("payload", "is_online"),
    [(b"online", True), (b"offline", False), (b'{"relay_on": true}', True), (b'{"state": "offline"}', False)],
)
def test_state_when_a_device_speaks(payload: bytes, is_online: bool) -> None:
    """The two words, and a JSON object that may say "offline" too."""
    device = SigningDevice().id
    kept = States()
    heard = kept.take(Message(of_device(device, "state"), payload), 7)
    assert heard is not None
    assert (heard[0], heard[1].is_online, heard[1].heard_s) == (device, is_online, 7)
    assert kept.described()["online"] == is_online


@pytest.mark.parametrize(
    "payload", [b"", b"x", b"[]", b"{", b'{"a": NaN}', b'"\xff"', b"[" * 900, b"{}" + b" " * states.SIZE_MAX]
)
def test_state_when_it_is_none(payload: bytes) -> None:
    """Counted, and never shown: status.json stays JSON."""
    kept = States()
    assert kept.take(Message(of_device(bytes(16), "state"), payload), 0) is None
    assert (kept.ignored, kept.by_device) == (1, {})


def test_states_when_there_is_no_room() -> None:
    """One device more than there is room for is counted; known ones go on."""
    kept = States()
    for now_s, number in enumerate((*range(states.DEVICES_MAX + 1), 0)):
        kept.take(Message(of_device(number.to_bytes(16, "big"), "state"), b"online"), now_s)
    assert (kept.ignored, len(kept.by_device)) == (1, states.DEVICES_MAX)
    assert kept.by_device[bytes(16)].heard_s == states.DEVICES_MAX + 1


@pytest.mark.story
def test_gateway_when_a_device_is_claimed(tmp_path: Path) -> None:
    """Over the real broker: told upstream to whoever subscribes later, and listed until the device is admitted."""
    device = SigningDevice()
    town = Town(tmp_path, [device]).found()
    topic = of_gateway(COMMUNE, town.gateway, f"claim/{device.id.hex()}")
    signed = claim(device)
    with town.broker(), town.running_gateway(), town.client(device.id.hex()) as meter:
        meter.publish(of_device(device.id, "claim"), signed, retain=True)
        wait_for(lambda: town.status().get("claims", {}).get("kept") == 1, "the claim")
        assert town.status()["claims"]["unadmitted"][0]["public_key"] == device.key.public_key.hex()
        with town.client("aggregator", topic) as office:
            assert office.messages.get(timeout=60) == Message(topic, signed)
            registry = town.registry_message(device.record())
            office.publish(registry.topic, registry.payload, retain=True)
            wait_for(lambda: town.status()["claims"]["unadmitted"] == [], "the admission")
