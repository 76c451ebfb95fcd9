"""`commonwatt aggregator run` as a process of its own, behind a real broker, killed in the middle of things."""

import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aggregator import testing
from aggregator.app import CATCH_UP_S
from aggregator.private.store import PrivateStore
from aggregator.testing import COMMUNE, GATEWAY, GENESIS, TIME_S, MeterStandIn, commonwatt, ident, key
from commonwatt import cbor, cose, status, topics
from commonwatt.clock import CivilClock
from commonwatt.demo.judge.pages import read_blocks
from commonwatt.identity import save_key
from commonwatt.mqtt import BrokerAccount, Message, MqttLink
from commonwatt.quantities import EXPORT
from commonwatt.refusal import Refusal
from commonwatt.registry import Snapshot
from commonwatt.transport import RECEIPT, REGISTRY, Receipt, sha256
from ledger.book.replay import replay
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.testing import LOG_KEY, ORIGIN

pytestmark = pytest.mark.story
BIN = Path(sys.executable).parent
PATIENCE_S = 60
SPEED = 1800
"""Civil seconds in a wall second: the grace of an hour is over in two."""


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until something is true; the test fails when patience ends."""
    ends_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_s, f"waited for {what}"
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether something listens on this port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Broker:
    """A real nats-server with the rights that the gateway's part generates."""

    directory: Path
    port: int
    passwords: dict[str, str]

    def account(self, username: str) -> BrokerAccount:
        return BrokerAccount(
            url=f"mqtt://127.0.0.1:{self.port}", username=username, password=self.passwords[username]
        )


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for all tests of this file; each uses retained topics only through its own aggregator."""
    directory = tmp_path_factory.mktemp("broker")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    accounts = directory / "accounts.toml"
    accounts.write_text(f'commune = "{COMMUNE}"\naggregator = true\ngateways = ["{ident(GATEWAY).hex()}"]\n')
    argv = [BIN / "commonwatt", "gateway", "broker-config", accounts, directory, "--port", str(port), "--plaintext"]
    subprocess.run([*argv, "--host", "127.0.0.1"], check=True, capture_output=True)
    with (directory / "broker.log").open("wb") as log:
        process = subprocess.Popen([BIN / "nats-server", "-c", directory / "nats.conf"], stdout=log, stderr=log)
    broker = Broker(directory, port, tomllib.loads((directory / "passwords.toml").read_text()))
    wait_for(lambda: answers(port), "the broker")
    yield broker
    process.terminate()
    process.wait()


@dataclass
class Service:
    """The aggregator's process over a quarter's directory."""

    directory: Path
    broker: Broker
    clock: CivilClock
    process: "subprocess.Popen[bytes] | None" = None
    status_file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.status_file = self.directory / "status.json"
        account = self.broker.account("aggregator")
        words = {"url": account.url, "username": account.username, "password": account.password}
        (self.directory / "broker.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in words.items()))

    def start(self) -> None:
        self.status_file.unlink(missing_ok=True)  # so that what is read is this process's
        argv = [BIN / "commonwatt", "aggregator", "run", self.directory, "--clock", str(self.clock)]
        argv += ["--broker-account", self.directory / "broker.toml"]
        with (self.directory / "service.log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def state(self) -> dict[str, object]:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "service.log").read_text()
        return status.read(self.status_file)


@pytest.fixture
def service(tmp_path: Path, broker: Broker) -> Iterator[Service]:
    """A founded quarter with its aggregator not yet started; civil time runs from an hour after TIME_S."""
    directory = tmp_path / "quarter"
    testing.quarter(directory).close()
    save_key(directory / "keys" / "log.key", LOG_KEY)
    save_key(directory / "keys" / "aggregator.key", key("aggregator"))
    facts = {
        "name": COMMUNE,
        "title": "Testville",
        "origin": ORIGIN,
        "genesis_sha256": GENESIS.hex(),
        "log_vkey": str(Signer(ORIGIN, LOG_KEY).verifier),
        "trial": True,
        "association": ident("association").hex(),
        "aggregator_public_key": key("aggregator").public_key.hex(),
    }
    (directory / "commune.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in facts.items()))
    service = Service(directory, broker, CivilClock(TIME_S + 3600, time.time(), SPEED))
    yield service
    if service.process is not None and service.process.poll() is None:
        service.kill()


class Gateway:
    """A gateway that keeps every batch until its receipt names it, and sends it again meanwhile."""

    def __init__(self, broker: Broker) -> None:
        own = [topics.of_gateway(COMMUNE, ident(GATEWAY), channel) for channel in ("receipt", "registry")]
        self.link = MqttLink(broker.account(ident(GATEWAY).hex()), client_id="cupboard", subscriptions=own)
        self.stand_in = testing.GatewayStandIn()
        self.pending: dict[bytes, Message] = {}
        self.receipts: list[Receipt] = []
        self.registry: Snapshot | None = None
        self.resends = 0

    def send(self, *blocks: bytes) -> None:
        batch = self.stand_in.batch(blocks)
        self.pending[sha256(batch.payload)] = batch
        self.link.publish(batch.topic, batch.payload)

    def resend(self) -> None:
        for batch in self.pending.values():
            self.resends += self.link.publish(batch.topic, batch.payload)

    def listen(self, timeout_s: float = 0.0) -> None:
        """Take every message that is there."""
        message = self.link.receive(timeout_s)
        while message is not None:
            kind = REGISTRY if message.topic.endswith("registry") else RECEIPT
            signed = cose.parse1(message.payload, size_max=10**6)
            assert signed.is_signed_by(key("aggregator").public_key, cose.external_aad(kind, GENESIS))
            if kind == REGISTRY:
                self.registry = Snapshot.parse(signed.payload)
            else:
                receipt = Receipt.parse(signed.payload)
                self.receipts.append(receipt)
                self.pending.pop(receipt.batch_sha256, None)
            message = self.link.receive(0)

    def deliver_all(self) -> None:
        """Send again until every batch has its receipt."""
        again_s = time.monotonic() + 1

        def done() -> bool:
            nonlocal again_s
            self.listen(0.02)
            if time.monotonic() > again_s:
                again_s = time.monotonic() + 1
                self.resend()
            return not self.pending

        wait_for(done, "receipts")


@pytest.fixture
def gateway(broker: Broker) -> Iterator[Gateway]:
    """A connected gateway stand-in."""
    gateway = Gateway(broker)
    with gateway.link:
        wait_for(lambda: gateway.link.is_up, "the gateway's connection")
        yield gateway


def hour_of(meters: dict[str, MeterStandIn]) -> list[bytes]:
    """A sunny hour of roof and neighbour, on time."""
    return [
        *meters["sun-main"].sign_each(TIME_S, [(0, 100 * index) for index in range(5)]),
        *meters["sun-roof"].sign_each(TIME_S, [(150 * index,) for index in range(5)]),
        *meters["ana-main"].sign_each(TIME_S, [(70 * index, 0) for index in range(5)]),
    ]


BALANCES = {"sun": 432, "ana": 51, "association": 53}


def balances(directory: Path) -> dict[str, int]:
    """Credits by name from the published log alone."""
    state = replay(PublishedLog(directory / "log").entries())
    return {name: mc for name in (*testing.HOMES, "association") if (mc := state.book.balance_mc(ident(name)))}


def test_a_batch_becomes_receipt_evidence_and_credits(service, gateway):
    """Registry out, batch in, receipt out; after the grace the mint stands in the published log; exit code 0."""
    service.start()
    wait_for(lambda: gateway.listen(0.05) or gateway.registry, "the registry")
    assert gateway.registry is not None
    assert len(gateway.registry.devices) == 5
    blocks = hour_of(testing.meters())
    stranger = MeterStandIn("stranger").sign(TIME_S, [(0,)])
    gateway.send(*blocks, stranger)
    gateway.deliver_all()
    assert gateway.receipts[0].refused == {len(blocks): 4}
    wait_for(lambda: service.state().get("windows_minted"), "the mint")
    state = service.state()
    assert state["blocks"] == {"received": 13, "accepted": 12, "duplicate": 0, "refused": {"unknown-device": 1}}
    assert service.stop() == 0
    assert balances(service.directory) == BALANCES
    assert status.read(service.status_file)["credits_mc"][ident("sun").hex()] == BALANCES["sun"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_aggregator_repeats_nothing_and_loses_nothing(service, gateway, seed):
    """SIGKILL at seeded instants while batches are in flight: same evidence, same books as undisturbed."""
    rng = random.Random(seed)
    print("seed", seed)
    service.clock = CivilClock(TIME_S + 3600, time.time(), 60)  # the grace outlasts the kills
    blocks = hour_of(testing.meters())
    rng.shuffle(blocks)
    service.start()
    wait_for(lambda: gateway.listen(0.05) or gateway.registry, "the registry")
    for kill in range(3):
        for block in blocks[kill * 4 : kill * 4 + 4]:
            gateway.send(block)
        time.sleep(rng.uniform(0, 0.05))  # the instant of the kill is the input, nothing is awaited
        service.kill()
        service.start()
    gateway.resend()
    gateway.deliver_all()
    service.kill()
    service.clock = CivilClock(TIME_S + 4 * 3600, time.time(), 1)
    service.start()
    wait_for(lambda: service.state().get("windows_minted"), "the mint")
    assert service.stop() == 0
    with sqlite3.connect(service.directory / "aggregator.db") as database:
        kept = [row[-1] for row in read_blocks(database)]
    database.close()
    assert sorted(kept) == sorted(blocks)
    assert balances(service.directory) == BALANCES


def test_a_kill_between_closing_and_mint_changes_nothing(service, gateway):
    """Killed again and again from the moment intervals may close; the books are those of one quiet run."""
    rng = random.Random(7)
    service.clock = CivilClock(TIME_S + 3600, time.time(), 1)
    service.start()
    wait_for(lambda: gateway.link.is_up, "the gateway's connection")
    gateway.send(*hour_of(testing.meters()))
    gateway.deliver_all()
    service.kill()
    service.clock = CivilClock(TIME_S + 4 * 3600, time.time(), 1)
    for _ in range(2):
        service.start()
        time.sleep(CATCH_UP_S + 0.5 + rng.uniform(0, 0.5))  # the instant of the kill is the input
        service.kill()
    service.start()
    wait_for(lambda: service.state().get("windows_minted"), "the mint")
    assert service.stop() == 0
    assert balances(service.directory) == BALANCES


def test_a_database_that_is_locked_ends_the_service_with_code_3(service, gateway):
    """A sentence on standard error, no traceback, no receipt; started again, the batch is answered."""
    service.start()
    wait_for(lambda: service.status_file.exists(), "the service")
    holder = sqlite3.connect(service.directory / "aggregator.db", isolation_level=None, timeout=PATIENCE_S)
    holder.execute("BEGIN IMMEDIATE")
    gateway.send(*hour_of(testing.meters()))
    assert service.process is not None
    assert service.process.wait(PATIENCE_S) == 3
    holder.close()
    words = (service.directory / "service.log").read_text()
    assert "locked by another process" in words
    assert "Traceback" not in words
    gateway.listen()
    assert gateway.receipts == []
    service.start()
    gateway.deliver_all()


def test_a_device_is_enrolled_while_the_aggregator_runs(service, gateway):
    """A claim comes through the broker, the steward confirms it, the gateways hear of it, its blocks are accepted;
    then another meter takes its place, and of the first nothing more is accepted."""
    service.start()
    directory, place = service.directory, ("--clock", str(service.clock))
    wait_for(lambda: gateway.listen(0.05) or gateway.registry, "the registry")
    testing.write_papers(directory)
    save_key(directory / "keys" / "steward.key", key("steward"))
    store = PrivateStore(directory / "private.db")
    store.enrol("members", "ana", ident("ana"))
    store.enrol("sites", "ana's", ident("ana's"))
    store.save()
    labels = directory / "labels"
    for name in ("hall", "attic"):
        line = {"device": ident(name).hex(), "public_key": key(name).public_key.hex(), "claim_sha256": "07" * 32}
        labels.write_text(json.dumps(line))
        assert commonwatt("enrol", "expect", directory, labels, "--role", "production", *place)[0] == 0
    claim = cbor.encode([1, ident("hall"), key("hall").public_key, ident("ana"), bytes([7]) * 32])
    topic = topics.of_gateway(COMMUNE, ident(GATEWAY), f"{topics.CLAIM}/{ident('hall').hex()}")
    gateway.link.publish(topic, cose.sign1(claim, key("hall"), cose.external_aad("claim")), retain=True)
    wait_for(lambda: "to be confirmed" in commonwatt("enrol", "list", directory)[1], "the claim")
    assert commonwatt("enrol", "confirm", directory, ident("hall").hex(), "--name", "hall", *place)[0] == 0
    wait_for(lambda: gateway.listen(0.05) or ident("hall") in gateway.registry.devices, "the new registry")
    hall = MeterStandIn("hall", (EXPORT.number,))
    gateway.send(hall.sign(TIME_S, [(0,), (5,)]))
    gateway.deliver_all()
    assert gateway.receipts[-1].refused == {}
    assert commonwatt("device", "replace", directory, "hall", ident("attic").hex(), *place)[0] == 0
    wait_for(lambda: gateway.listen(0.05) or ident("attic") in gateway.registry.devices, "the newest registry")
    gateway.send(hall.sign(TIME_S + 900, [(5,), (9,)]))
    gateway.deliver_all()
    assert gateway.receipts[-1].refused == {0: Refusal.REVOKED_DEVICE}
    gateway.link.publish(topic, b"", retain=True)  # the broker is shared
    assert service.stop() == 0
