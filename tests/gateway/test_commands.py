"""Commands go through the gateway unchanged, wait for devices that are away, and only the commune's go through."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from commonwatt import cbor, cose
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.topics import of_device, of_gateway
from gateway.database import Database
from gateway.devices.commands import KEPT_S, PENDING_MAX, PER_DEVICE_MAX, SIZE_MAX, CommandDesk, Commander
from gateway.testing import MemoryLink, SigningDevice
from tests.gateway.support import BIN, COMMUNE, Town, started, wait_for

KEY, GENESIS, GATEWAY = SigningKey.from_seed(bytes([7]) * 32), bytes(32), bytes.fromhex("aa" * 16)
DEVICE = bytes(range(16))
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "command.json").read_text())["commands"]
REASONS = {1: "too-large", 2: "malformed", 3: "unknown-key", 4: "wrong-device", 8: "bad-signature"}
ON, OFF, NO_SCHEDULE = [1, True], [1, False], [2, []]


def command(counter: int, action: list[object], device: bytes = DEVICE, key: SigningKey = KEY) -> bytes:
    return cose.sign1(cbor.encode([1, device, counter, action]), key, cose.external_aad("command", GENESIS))


class Counter:
    """A desk over a real spool, opened again at will."""

    def __init__(self, path: Path) -> None:
        self.path, self.link = path, MemoryLink()
        self.open()

    def open(self) -> None:
        self.database = Database(self.path)
        commander = Commander(KEY.public_key, GENESIS)
        self.desk = CommandDesk(database=self.database, commander=commander, commune=COMMUNE, gateway=GATEWAY)

    def send(self, signed: bytes, device: bytes = DEVICE, now_s: int = 0) -> None:
        with self.database.transaction():
            assert self.desk.receive(Message(of_gateway(COMMUNE, GATEWAY, f"cmd/{device.hex()}"), signed), now_s)

    def heard(self, counter: int | None = None, device: bytes = DEVICE) -> None:
        with self.database.transaction():
            self.desk.heard(device, counter)

    def handed_over(self) -> list[bytes]:
        self.desk.hand_over(self.link)
        taken = self.link.take()
        assert {message.topic for message in taken} <= {of_device(DEVICE, "cmd")}
        return [message.payload for message in taken]


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    counter = Counter(tmp_path / "spool.db")
    yield counter
    counter.database.close()


def test_command_when_it_comes(counter: Counter) -> None:
    """It goes to its device at once, the same bytes, and again whenever the device says that it is there."""
    signed = command(1, OFF)
    counter.send(signed)
    assert counter.handed_over() == [signed]
    assert counter.handed_over() == []
    counter.heard()
    assert counter.handed_over() == [signed]


def test_command_when_the_device_has_obeyed(counter: Counter) -> None:
    """A state that names its counter, or a later one, ends it; an earlier one does not."""
    counter.send(command(5, OFF))
    counter.heard(4)
    assert (counter.desk.pending, len(counter.handed_over())) == (1, 1)
    counter.heard(5)
    assert (counter.desk.pending, counter.desk.obeyed, counter.handed_over()) == (0, 1, [])


def test_commands_when_the_gateway_is_killed(counter: Counter) -> None:
    """What waits is in the spool; after a restart it is handed over in order when the device is heard."""
    sent = [command(1, OFF), command(2, NO_SCHEDULE)]
    for signed in sent:
        counter.send(signed)
    counter.database.close()
    counter.open()
    counter.heard()
    assert counter.handed_over() == sent


def test_command_when_there_is_no_connection(counter: Counter) -> None:
    """It waits and goes out with the next tick that has one."""
    counter.link.is_up = False
    counter.send(command(1, OFF))
    assert counter.handed_over() == []
    counter.link.is_up = True
    assert len(counter.handed_over()) == 1


def test_relay_when_others_wait_before_it(counter: Counter) -> None:
    """A relay command makes everything before it pointless; a schedule does not."""
    counter.send(command(1, OFF))
    counter.send(command(2, NO_SCHEDULE))
    assert counter.desk.pending == 2
    counter.send(command(3, ON))
    assert (counter.desk.pending, counter.handed_over()) == (1, [command(3, ON)])


def test_command_when_it_comes_again(counter: Counter) -> None:
    """The newest is known and silently the same; an older one is counted, obeyed or not, expired or not."""
    counter.send(command(2, OFF))
    counter.send(command(2, OFF))
    assert (counter.desk.pending, counter.desk.refused) == (1, {})
    counter.heard(2)
    counter.send(command(2, OFF))
    counter.send(command(1, ON))
    assert (counter.desk.pending, counter.desk.refused) == (0, {"stale": 1})


def test_command_when_its_device_stays_away(counter: Counter) -> None:
    """After its time it is forgotten and counted, and what the broker retains does not bring it back."""
    counter.send(command(1, OFF))
    for now_s, pending in ((KEPT_S, 1), (KEPT_S + 1, 0)):
        with counter.database.transaction():
            counter.desk.expire(now_s)
        assert counter.desk.pending == pending
    counter.send(command(1, OFF))
    assert (counter.desk.pending, counter.desk.expired) == (0, 1)


def test_commands_when_too_many_wait_for_one_device(counter: Counter) -> None:
    """At the limit all wait; one more pushes the oldest out."""
    for number in range(1, PER_DEVICE_MAX + 1):
        counter.send(command(number, NO_SCHEDULE))
    assert (counter.desk.pending, counter.desk.pushed_out) == (PER_DEVICE_MAX, 0)
    counter.send(command(99, NO_SCHEDULE))
    assert (counter.desk.pending, counter.desk.pushed_out) == (PER_DEVICE_MAX, 1)
    assert counter.handed_over()[0] == command(2, NO_SCHEDULE)


def test_commands_when_too_many_wait_in_all(counter: Counter) -> None:
    """One more than there is room for is not taken, and counted."""
    rows = [(index.to_bytes(16, "big"), bytes(8), False, b"x", 0) for index in range(PENDING_MAX)]
    with counter.database.transaction():
        counter.database.execute_many("INSERT INTO command VALUES (?, ?, ?, ?, ?)", rows)
    counter.database.close()
    counter.open()
    counter.send(command(1, OFF))
    assert (counter.desk.pending, counter.desk.refused) == (PENDING_MAX, {"no-room": 1})


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["name"]) for v in VECTORS if v["answer"] in (0, *REASONS)])
def test_command_when_a_vector_says_what_a_device_answers(tmp_path: Path, vector: dict[str, object]) -> None:
    """What the device refuses by its bytes is not passed on, for the same reason; what it obeys is."""
    commander = Commander(KEY.public_key, hashlib.sha256(b"a genesis entry").digest())
    with Database(tmp_path / "spool.db") as database:
        desk = CommandDesk(database=database, commander=commander, commune=COMMUNE, gateway=GATEWAY)
        topic = of_gateway(COMMUNE, GATEWAY, f"cmd/{DEVICE.hex()}")
        with database.transaction():
            desk.receive(Message(topic, bytes.fromhex(str(vector["signed"]))), 0)
    is_only_the_device_s_to_judge = str(vector["name"]).startswith(
        ("malformed-rule", "malformed-too", "malformed-re")
    )
    if vector["answer"] == 0 or is_only_the_device_s_to_judge or vector["name"] == "malformed-action":
        assert (desk.pending, desk.refused) == (1, {})
    else:
        assert (desk.pending, desk.refused) == (0, {REASONS[int(str(vector["answer"]))]: 1})


@pytest.mark.parametrize(
    ("topic", "signed", "reason"),
    [
        ("cmd/00", command(1, OFF), "wrong-device"),
        (f"cmd/{'z' * 32}", command(1, OFF), "wrong-device"),
        (f"cmd/{DEVICE.hex()}", bytes(SIZE_MAX + 1), "too-large"),
        (f"cmd/{DEVICE.hex()}", cbor.encode([1]), "malformed"),
        (f"cmd/{DEVICE.hex()}", b"", "malformed"),
    ],
)
def test_command_when_it_is_none(counter: Counter, topic: str, signed: bytes, reason: str) -> None:
    """Counted with its reason, and nothing is kept."""
    with counter.database.transaction():
        assert counter.desk.receive(Message(of_gateway(COMMUNE, GATEWAY, topic), signed), 0)
        assert not counter.desk.receive(Message(of_gateway(COMMUNE, GATEWAY, "receipt"), signed), 0)
    assert (counter.desk.pending, counter.desk.refused) == (0, {reason: 1})


def test_command_when_no_key_is_configured(tmp_path: Path) -> None:
    """A gateway that cannot check a command passes none."""
    with Database(tmp_path / "spool.db") as database, database.transaction():
        desk = CommandDesk(database=database, commander=Commander(None, GENESIS), commune=COMMUNE, gateway=GATEWAY)
        desk.receive(Message(of_gateway(COMMUNE, GATEWAY, f"cmd/{DEVICE.hex()}"), command(1, OFF)), 0)
    assert desk.refused == {"unknown-key": 1}


@pytest.mark.story
def test_gateway_when_a_device_was_away(tmp_path: Path) -> None:
    """Over the real broker: commanded while the device is away and the gateway killed, it gets the command later."""
    device = SigningDevice()
    town = Town(tmp_path, [device], extra=f'command_public_key = "{KEY.public_key.hex()}"').found()
    signed = command(1, OFF, device.id)
    with town.broker(), town.client("aggregator") as commander:
        commander.publish(of_gateway(COMMUNE, town.gateway, f"cmd/{device.id.hex()}"), signed, retain=True)
        gateway = town.start_gateway()
        wait_for(lambda: town.status().get("commands", {}).get("handed_over") == 1, "the command, to nobody")
        gateway.kill()
        gateway.wait()
        with town.running_gateway(), town.client(device.id.hex(), of_device(device.id, "cmd")) as meter:
            meter.publish(of_device(device.id, "state"), b"online", retain=True)
            assert meter.messages.get(timeout=60) == Message(of_device(device.id, "cmd"), signed)
            meter.publish(of_device(device.id, "state"), b'{"state": "online", "command": 1}', retain=True)
            wait_for(lambda: town.status()["commands"]["pending"] == 0, "the command obeyed")
            said = town.status()["devices"]["by_device"][device.id.hex()]
            assert (said["online"], said["said"]["command"]) == (True, 1)


@pytest.mark.story
def test_relay_when_a_real_device_comes_back(tmp_path: Path) -> None:
    """MicroPython runs the firmware: commanded while it is off, it moves its relay once it is on, and says so."""
    device, folder = SigningDevice(), tmp_path / "device"
    folder.mkdir()
    town = Town(tmp_path, [device], extra=f'command_public_key = "{KEY.public_key.hex()}"').found()
    user = device.id.hex()
    (folder / "registers").write_text("quantities,1,2\n900,1000,5\n")
    config = {
        "device": user,
        "broker": {"host": "127.0.0.1", "port": town.port, "username": user, "password": town.passwords[user]},
        "state_dir": str(folder / "state"),
        "step_s": 900,
        "block_readings": 4,
        "meter": {"type": "replay", "file": str(folder / "registers")},
        "retry_ms_max": 300,
        "control": {"public_key": KEY.public_key.hex(), "genesis_sha256": GENESIS.hex()},
    }
    (folder / "device.json").write_text(json.dumps(config))
    firmware = Path(__file__).parents[2] / "firmware" / "main.py"
    with town.broker(), town.running_gateway(), town.client("aggregator") as commander:
        topic = of_gateway(COMMUNE, town.gateway, f"cmd/{user}")
        commander.publish(topic, command(3, OFF, device.id), retain=True)
        wait_for(lambda: town.status().get("commands", {}).get("pending") == 1, "the command, kept")
        with started([str(BIN / "micropython"), "-X", "heapsize=1M", str(firmware), str(folder / "device.json")]):
            wait_for(lambda: town.status()["commands"]["obeyed"] == 1, "the device's word that it obeyed")
        assert (folder / "state" / "relay").read_text() == "off\n"
        assert town.status()["commands"]["pending"] == 0
