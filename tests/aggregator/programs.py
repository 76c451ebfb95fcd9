"""Real programs for the aggregator's tests: a nats-server with generated rights, aggregators, a gateway."""

import json
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aggregator import testing
from aggregator.testing import COMMUNE, GATEWAY, GENESIS, TIME_S, MeterStandIn, ident, key
from commonwatt import cose, status, topics
from commonwatt.clock import CivilClock
from commonwatt.identity import save_key
from commonwatt.mqtt import BrokerAccount, Message, MqttLink
from commonwatt.registry import Snapshot
from commonwatt.transport import RECEIPT, REGISTRY, Receipt, sha256
from ledger.book.replay import replay
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.testing import LOG_KEY, ORIGIN

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
    nats_port: int
    passwords: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with (self.directory / "broker.log").open("ab") as log:
            argv = [BIN / "nats-server", "-c", self.directory / "nats.conf"]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        wait_for(lambda: answers(self.port) and answers(self.nats_port), "the broker")

    def kill(self) -> None:
        """As a power cut does; what it was told to keep is on its disk."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def account(self, username: str) -> BrokerAccount:
        return BrokerAccount(
            url=f"mqtt://127.0.0.1:{self.port}", username=username, password=self.passwords[username]
        )


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_broker(
    directory: Path, *, gateways: tuple[str, ...] = (GATEWAY,), devices: tuple[str, ...] = ()
) -> Iterator[Broker]:
    """The broker while the `with` lasts, with JetStream at a port of its own."""
    port, nats_port = free_port(), free_port()
    accounts = directory / "accounts.toml"
    ids = [ident(name).hex() for name in gateways]
    at_home = [ident(name).hex() for name in devices]
    accounts.write_text(f'commune = "{COMMUNE}"\naggregator = true\ngateways = {ids}\ndevices = {at_home}\n')
    argv = [BIN / "commonwatt", "gateway", "broker-config", accounts, directory, "--port", str(port), "--plaintext"]
    argv += ["--nats-port", str(nats_port)]
    subprocess.run([*argv, "--host", "127.0.0.1"], check=True, capture_output=True)
    broker = Broker(directory, port, nats_port, tomllib.loads((directory / "passwords.toml").read_text()))
    broker.start()
    try:
        yield broker
    finally:
        assert broker.process is not None
        broker.process.terminate()
        broker.process.wait()


@dataclass
class Service:
    """The aggregator's process over a quarter's directory."""

    directory: Path
    broker: Broker
    clock: CivilClock
    process: "subprocess.Popen[bytes] | None" = None
    name: str = ""
    jetstream: bool = False
    watch_port: int = 0
    pages_port: int = 0
    influx: Path | None = None
    status_file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.status_file = self.directory / f"status{self.name}.json"
        self.log_file = self.directory / f"service{self.name}.log"
        account = self.broker.account("aggregator")
        words = {"url": account.url, "username": account.username, "password": account.password}
        if self.jetstream:
            words["jetstream"] = f"nats://127.0.0.1:{self.broker.nats_port}"
        (self.directory / "broker.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in words.items()))

    def start(self) -> None:
        self.status_file.unlink(missing_ok=True)  # so that what is read is this process's
        argv = [BIN / "commonwatt", "aggregator", "run", self.directory, "--clock", str(self.clock)]
        argv += ["--broker-account", self.directory / "broker.toml", "--status", self.status_file]
        argv += ["--watch", f"127.0.0.1:{self.watch_port}"] if self.watch_port else []
        argv += ["--pages", str(self.pages_port)] if self.pages_port else []
        argv += ["--influx", self.influx] if self.influx else []
        with self.log_file.open("ab") as log:
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
        assert self.process.poll() is None, self.log_file.read_text()
        return status.read(self.status_file)


def found(directory: Path) -> Path:
    """A founded quarter's directory, with its keys and commune.toml."""
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
    return directory


class Gateway:
    """A gateway that keeps every batch until its receipt names it, and sends it again meanwhile."""

    def __init__(self, broker: Broker, name: str = GATEWAY) -> None:
        own = [topics.of_gateway(COMMUNE, ident(name), channel) for channel in ("receipt", "registry")]
        self.link = MqttLink(broker.account(ident(name).hex()), client_id=name, subscriptions=own)
        self.stand_in = testing.GatewayStandIn(name)
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

    def deliver_all(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Send again until every batch has its receipt. `meanwhile`: what else is to be done in each turn."""
        again_s = time.monotonic() + 1

        def done() -> bool:
            nonlocal again_s
            meanwhile()
            self.listen(0.02)
            if time.monotonic() > again_s:
                again_s = time.monotonic() + 1
                self.resend()
            return not self.pending

        wait_for(done, "receipts")


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
