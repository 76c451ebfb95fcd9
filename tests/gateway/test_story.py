"""A real gateway between real devices and an aggregator's stand-in, over a real broker, killed when it hurts most."""

import json
import random
import resource
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from commonwatt import block, cose, transport
from commonwatt.block import link
from commonwatt.refusal import Refusal
from commonwatt.registry import Status
from commonwatt.topics import of_device, of_gateway
from commonwatt.transport import Ack, sha256
from gateway.database import Database
from gateway.spool import Spool
from gateway.testing import SigningDevice, read_batch
from tests.gateway.modbus_meter import FaultyMeter
from tests.gateway.support import COMMUNE, SEED, Client, Town, command, end, wait_for

pytestmark = pytest.mark.story

METER_DEVICE = bytes.fromhex("cc" * 16)
RESEND_S = 0.3


@dataclass
class Devices:
    """Devices that keep each block and send it again until its acknowledgement names its hash."""

    client: Client
    devices: list[SigningDevice]
    unanswered: dict[bytes, tuple[SigningDevice, bytes, float]] = field(default_factory=dict)
    answers: dict[bytes, Refusal | None] = field(default_factory=dict)

    def measure(self, device: SigningDevice, signed: bytes) -> None:
        """A device has a block to send."""
        self.unanswered[sha256(signed)] = (device, signed, float("-inf"))

    def pump(self) -> None:
        """Take answers, send what is due."""
        for message in self.client.drain():
            ack = Ack.parse(message.payload)
            self.answers[ack.block_sha256] = ack.refusal
            self.unanswered.pop(ack.block_sha256, None)
        now_s = time.monotonic()
        for digest, (device, signed, sent_s) in list(self.unanswered.items()):
            if now_s - sent_s >= RESEND_S:
                self.client.publish(of_device(device.id, "block"), signed)
                self.unanswered[digest] = (device, signed, now_s)


@dataclass
class Upstream:
    """The aggregator's stand-in: verifies batches, answers some of them, keeps every block that came."""

    town: Town
    client: Client
    gateway_key: bytes
    chance: random.Random
    answered_share: float = 1.0
    blocks: list[bytes] = field(default_factory=list)
    batches: list[bytes] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)

    def publish_registry(self, *records: Any, log_size: int = 1) -> None:
        """Let the gateway know these devices."""
        signed = self.town.aggregator.registry(records, log_size=log_size)
        self.client.publish(of_gateway(COMMUNE, self.town.gateway, "registry"), signed, retain=True)

    def pump(self) -> None:
        """Take batches and states; a receipt is lost on its way as often as `answered_share` says."""
        for message in self.client.drain():
            if message.topic.endswith("state"):
                self.states.append(json.loads(message.payload))
                continue
            signed = cose.parse1(message.payload, size_max=transport.BATCH_SIZE_MAX)
            assert signed.is_signed_by(self.gateway_key, cose.external_aad("batch", self.town.aggregator.genesis))
            self.batches.append(message.payload)
            self.blocks += read_batch(message.payload).blocks
            if self.chance.random() < self.answered_share:
                receipt = self.town.aggregator.receipt(message.payload)
                self.client.publish(of_gateway(COMMUNE, self.town.gateway, "receipt"), receipt)


class Story:
    """Everything of a town but its gateway, up and connected while the `with` lasts."""

    def __init__(self, town: Town, *, answered_share: float = 1.0, seed: int = SEED) -> None:
        self.town = town
        self.chance = random.Random(seed)
        self.identity = json.loads(command("gateway", "identity", str(town.settings_file)))
        gateway_key = bytes.fromhex(self.identity["gateway"]["public_key"])
        self.device_clients = [town.connection(device.id.hex()) for device in town.devices]
        self.senders = [Devices(c, [d]) for c, d in zip(self.device_clients, town.devices, strict=True)]
        client = town.connection("aggregator")
        self.upstream = Upstream(town, client, gateway_key, self.chance, answered_share)

    def __enter__(self) -> "Story":
        for device, client in zip(self.town.devices, self.device_clients, strict=True):
            assert client.start(of_device(device.id, "ack"))
        assert self.upstream.client.start(of_gateway(COMMUNE, "+", "batch"), of_gateway(COMMUNE, "+", "state"))
        return self

    def __exit__(self, *_exception: object) -> None:
        for client in (*self.device_clients, self.upstream.client):
            client.__exit__()

    def measure(self, count: int) -> list[bytes]:
        """Each device has so many new blocks."""
        made = []
        for own in self.senders:
            for _ in range(count):
                signed = own.devices[0].next_block()
                own.measure(own.devices[0], signed)
                made.append(signed)
        return made

    def pump(self) -> None:
        """Everyone takes a turn."""
        for own in self.senders:
            own.pump()
        self.upstream.pump()

    def until(self, condition: Any, what: str) -> None:
        """Let everyone take turns until a condition holds."""

        def turn() -> bool:
            self.pump()
            return bool(condition())

        wait_for(turn, what)

    @property
    def unanswered(self) -> int:
        """Blocks that devices still keep."""
        return sum(len(own.unanswered) for own in self.senders)

    @property
    def answers(self) -> dict[bytes, Refusal | None]:
        """What the devices were told, by the block's hash."""
        return {digest: refusal for own in self.senders for digest, refusal in own.answers.items()}


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, [SigningDevice() for _ in range(3)]).found()


def test_gateway_when_all_is_well(town: Town) -> None:
    """Blocks are acknowledged, arrive in a signed batch, and leave the spool when the receipt is there."""
    with town.broker(), Story(town) as story, town.running_gateway():
        story.upstream.publish_registry(*(device.record() for device in town.devices))
        made = story.measure(5)
        story.until(lambda: not story.unanswered, "every acknowledgement")
        story.until(lambda: set(story.upstream.blocks) == set(made), "every block upstream, and nothing else")
        story.until(lambda: town.status().get("blocks", {}).get("accepted") == 15, "a state that knows of them all")
        story.until(lambda: town.status().get("spool", {}).get("blocks") == 0, "every receipt")
        assert set(story.answers.values()) == {None}
    status = town.status()
    assert status["state"] == "down"
    assert (status["blocks"]["accepted"], status["spool"]["blocks"], status["batches"]["in_flight"]) == (15, 0, 0)


def test_gateway_when_blocks_are_bad(town: Town) -> None:
    """Each bad block is refused with its reason and counted; the good ones between them are untouched."""
    well, revoked, stranger = town.devices
    good = [well.next_block(), well.next_block()]
    bad = {
        bytes(1025): Refusal.TOO_LARGE,
        b"\xff": Refusal.MALFORMED,
        b"\x18\x01": Refusal.NOT_CANONICAL,
        cose.sign1(cose.parse1(good[0], size_max=1024).payload, stranger.key, block.AAD): Refusal.BAD_SIGNATURE,
    }
    with town.broker(), Story(town) as story, town.running_gateway():
        story.upstream.publish_registry(well.record(), revoked.record(Status.REVOKED))
        for signed in (good[0], *bad, good[1]):
            story.senders[0].measure(well, signed)
        of_revoked, of_stranger = revoked.next_block(), stranger.next_block()
        story.senders[1].measure(revoked, of_revoked)
        story.senders[2].measure(stranger, of_stranger)
        story.until(lambda: story.unanswered == 1, "every answer but the stranger's")
        story.until(lambda: len(story.upstream.blocks) == 2, "the good blocks upstream")
        expected: dict[bytes, Refusal | None] = {sha256(signed): reason for signed, reason in bad.items()}
        expected |= {sha256(signed): None for signed in good} | {sha256(of_revoked): Refusal.REVOKED_DEVICE}
        assert story.answers == expected
        assert sorted(story.upstream.blocks) == sorted(good)
        story.until(lambda: town.status()["blocks"]["unknown_aside"] == 1, "the stranger set aside")
        # Counts are per message: a device that waited too long for its answer has sent its block twice.
        reasons = {r.label for r in (*bad.values(), Refusal.REVOKED_DEVICE)}
        story.until(lambda: set(town.status()["blocks"]["refused"]) == reasons, "every reason in the status")
        story.upstream.publish_registry(*(device.record() for device in (well, stranger)), log_size=2)
        story.until(lambda: not story.unanswered, "the admitted stranger's acknowledgement")


def test_gateway_when_upstream_refuses_a_block(town: Town) -> None:
    """A block that the aggregator refuses is shown with device, number and reason, and is not sent again."""
    device = town.devices[0]
    with town.broker(), Story(town, answered_share=0.0) as story, town.running_gateway():
        story.upstream.publish_registry(device.record())
        story.measure(1)
        story.until(lambda: story.upstream.batches, "the batch")
        receipt = town.aggregator.receipt(story.upstream.batches[0], {0: Refusal.CONFLICT})
        story.upstream.client.publish(of_gateway(COMMUNE, town.gateway, "receipt"), receipt)
        story.until(lambda: town.status().get("refused"), "the refusal in the status")
        (shown,) = [shown for shown in town.status()["refused"] if shown["device"] == device.id.hex()]
        assert (shown["seq"], shown["reason"]) == (0, "conflict")


def test_gateway_when_a_registry_is_rolled_back(town: Town) -> None:
    """A registry of a smaller log changes nothing, also after a restart: a revoked device stays out."""
    device = town.devices[0]
    with town.broker(), Story(town) as story:
        with town.running_gateway():
            story.upstream.publish_registry(device.record(Status.REVOKED), log_size=9)
            story.until(lambda: town.status().get("registry", {}).get("log_size") == 9, "the registry")
        story.upstream.publish_registry(device.record(), log_size=8)
        with town.running_gateway():
            story.senders[0].measure(device, device.next_block())
            story.until(lambda: not story.unanswered, "an answer")
            story.until(lambda: town.status()["ignored"] == {"older-registry": 1}, "the old registry ignored")
        assert set(story.answers.values()) == {Refusal.REVOKED_DEVICE}


@pytest.mark.parametrize("seed", [SEED, pytest.param(SEED + 1, marks=pytest.mark.soak)])
def test_gateway_when_it_is_killed(tmp_path: Path, seed: int) -> None:
    """Killed at seeded instants with data in flight and receipts lost, it loses nothing that it acknowledged.

    A device drops a block when it is acknowledged, so a block that the gateway lost after that would never arrive.
    """
    print(f"seed {seed}")
    chance = random.Random(seed)
    with FaultyMeter() as meter:
        meter.show(0, 1000)
        town = Town(tmp_path, [SigningDevice() for _ in range(3)], extra=_FAST_METERS, meters=_meter(meter.port))
        town.found()
        made: list[bytes] = []
        clock = f"1721606400@{time.time()}x3000"
        with town.broker(), Story(town, answered_share=0.7, seed=seed) as story:
            story.upstream.publish_registry(*(device.record() for device in town.devices))
            for _ in range(4):
                gateway = town.start_gateway("--clock", clock)
                made += story.measure(chance.randint(3, 12))
                due_s = time.monotonic() + chance.uniform(0.3, 1.6)
                story.until(lambda due_s=due_s: time.monotonic() >= due_s, "the instant of the kill")
                made += story.measure(2)
                story.pump()
                gateway.kill()
                gateway.wait()
            with town.running_gateway("--clock", clock):
                story.until(lambda: not story.unanswered, "every acknowledgement")
                story.upstream.answered_share = 1.0
                story.until(lambda: set(made) <= set(story.upstream.blocks), "every block upstream")
                seen = len(_blocks_of_meter(story))
                story.until(lambda: len(_blocks_of_meter(story)) >= seen + 2, "blocks of the meter")
            assert set(story.answers.values()) == {None}
            _same_bytes_under_one_number(story.upstream.batches)
            _unbroken(_blocks_of_meter(story))


_FAST_METERS = "meter_backoff_s_min = 0.1\nmeter_backoff_s_max = 0.2\nblock_readings = 3"


def _meter(port: int) -> str:
    return (
        f'[[meters]]\nname = "roof"\ndevice = "{METER_DEVICE.hex()}"\nkey_file = "roof.key"\n'
        f'type = "schneider-iem3155"\nhost = "127.0.0.1"\nport = {port}\n'
    )


def _blocks_of_meter(story: Story) -> list[bytes]:
    """The blocks that the meter's key signed, in order of number, each once."""
    key = bytes.fromhex(story.identity["meters"][0]["public_key"])
    signed = {data for data in story.upstream.blocks if cose.parse1(data, size_max=1024).is_signed_by(key, block.AAD)}
    return sorted(signed, key=lambda data: _content(data).seq)


def _content(signed: bytes) -> block.Block:
    return block.parse(cose.parse1(signed, size_max=1024).payload)


def _unbroken(chain: list[bytes]) -> None:
    """Numbers without a gap, each block naming the one before it, no step read twice."""
    assert [_content(data).seq for data in chain] == list(range(len(chain)))
    for before, after in pairwise(chain):
        assert _content(after).prev == link(before)
    times_s = [time_s for data in chain for time_s, _ in _content(data).readings()]
    assert times_s == sorted(set(times_s))


def _same_bytes_under_one_number(batches: list[bytes]) -> None:
    by_number: dict[int, bytes] = {}
    for signed in batches:
        assert by_number.setdefault(read_batch(signed).seq, signed) == signed


def test_gateway_when_the_broker_is_killed(town: Town) -> None:
    """The broker dies with everything in flight and comes back empty: nothing is lost, everybody finds in again."""
    with town.broker() as broker:
        story = Story(town)
        with story, town.running_gateway():
            story.upstream.publish_registry(*(device.record() for device in town.devices))
            made = story.measure(3)
            story.until(lambda: story.upstream.batches, "a first batch")
            broker.kill()
            broker.wait()
            made += story.measure(3)
            with town.broker():
                story.until(lambda: set(made) <= set(story.upstream.blocks), "every block upstream")
                story.until(lambda: not story.unanswered, "every acknowledgement")


def test_state_when_the_gateway_dies(town: Town) -> None:
    """The retained state says up while it runs, and down when it was killed as when it was stopped."""
    with town.broker(), Story(town) as story:

        def last_state() -> str | None:
            return story.upstream.states[-1]["state"] if story.upstream.states else None

        gateway = town.start_gateway()
        story.until(lambda: last_state() == "up", "up")
        gateway.kill()
        gateway.wait()
        story.until(lambda: last_state() == "down", "the last will")
        gateway = town.start_gateway()
        story.until(lambda: last_state() == "up", "up again")
        end(gateway)
        assert gateway.returncode == 0
        story.until(lambda: last_state() == "down", "the farewell")


def test_gateway_when_the_disk_is_full(town: Town) -> None:
    """It ends with exit code 3 and a sentence; what it acknowledged is on the disk, the rest with the devices."""
    limited = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    with town.broker(), Story(town, answered_share=0.0) as story:
        story.upstream.publish_registry(*(device.record() for device in town.devices))
        gateway = town.start_gateway(under=[sys.executable, "-c", limited])

        def has_ended() -> bool:
            if story.unanswered < 50:
                story.measure(20)
            return gateway.poll() is not None

        story.until(has_ended, "the end of the gateway")
        story.pump()
        assert gateway.returncode == 3
        assert "spool.db" in town.log()
        assert "Traceback" not in town.log()
        acknowledged = {digest for digest, refusal in story.answers.items() if refusal is None}
        assert acknowledged
        with Database(town.spool_file) as database:
            on_disk = {bytes(row[0]) for row in database.execute("SELECT sha256 FROM block")}
        assert acknowledged <= on_disk
        story.upstream.answered_share = 1.0
        with town.running_gateway():
            story.until(lambda: not story.unanswered, "every acknowledgement once there is room")
            story.until(lambda: acknowledged <= {sha256(b) for b in story.upstream.blocks}, "every block upstream")


def test_gateway_when_the_spool_is_taken(town: Town) -> None:
    """A second gateway on one spool ends with exit code 3 and says why; the first goes on."""
    with town.broker(), town.running_gateway() as first:
        wait_for(lambda: town.status().get("state") == "up", "the first gateway")
        second = town.start_gateway()
        second.wait()
        assert second.returncode == 3
        assert "database is locked" in town.log()
        assert "Traceback" not in town.log()
        assert first.poll() is None


def test_gateway_when_upstream_is_slow(tmp_path: Path) -> None:
    """A spool at its limit takes no more from devices, which keep their blocks, until receipts make room."""
    town = Town(tmp_path, [SigningDevice()], extra="spool_mib_max = 1\nbatch_blocks_max = 1000").found()
    device = town.devices[0]
    # The spool is brought to its limit before the gateway starts.
    with Database(town.spool_file) as database, database.transaction():
        made = [device.next_block() for _ in range(6000)]
        stored = [(device.id, sha256(signed), signed) for signed in made]
        rows = [(d, index, digest, signed, 0) for index, (d, digest, signed) in enumerate(stored)]
        database.execute_many(
            "INSERT INTO block (device, seq, sha256, signed, arrived_s) VALUES (?, ?, ?, ?, ?)", rows
        )
        assert Spool(database).size_bytes() > 1024 * 1024
    with town.broker(), Story(town, answered_share=0.0) as story, town.running_gateway():
        story.upstream.publish_registry(device.record())
        made += story.measure(1)
        story.until(lambda: town.status().get("blocks", {}).get("turned_away"), "a block turned away")
        assert story.unanswered == 1
        story.upstream.answered_share = 1.0
        story.until(lambda: not story.unanswered, "its acknowledgement when there is room")
        story.until(lambda: set(made) <= set(story.upstream.blocks), "every block upstream")
