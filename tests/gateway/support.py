"""Real programs for the gateway's tests: a nats-server with generated rights, a gateway process, MQTT clients."""

import json
import os
import queue
import secrets
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from commonwatt.mqtt import Message
from commonwatt.registry import DeviceRecord
from commonwatt.topics import REGISTRY, of_gateway
from gateway.testing import SigningAggregator, SigningDevice

BIN = Path(sys.executable).parent
COMMONWATT, NATS = str(BIN / "commonwatt"), str(BIN / "nats-server")
COMMUNE = "tests"
GIVE_UP_S = 60.0
"""A wait that lasts so long is a failure, and the only wall-clock limit here."""


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str) -> None:
    """Wait until a condition holds; AssertionError names what never came."""
    ends_s = time.monotonic() + GIVE_UP_S
    while not condition():
        assert time.monotonic() < ends_s, f"never came: {what}"
        time.sleep(0.01)


def answers(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Client:
    """A plain paho client, as a device or an aggregator is one: what it gets is in `messages`."""

    def __init__(self, port: int, username: str, password: str, ca_file: Path | None = None) -> None:
        self.messages: queue.Queue[Message] = queue.Queue()
        self.answers: queue.Queue[bool] = queue.Queue()
        """Whether the broker let us in, once per attempt."""
        self._subscribed = threading.Event()
        self._topics: tuple[str, ...] = ()
        self._port = port
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, secrets.token_hex(8))
        self._paho.username_pw_set(username, password)
        if ca_file is not None:
            self._paho.tls_set(str(ca_file))
        self._paho.reconnect_delay_set(1, 1)
        self._paho.on_connect = self._on_connect
        self._paho.on_subscribe = lambda *_: self._subscribed.set()
        self._paho.on_message = lambda _c, _u, m: self.messages.put(Message(m.topic, bytes(m.payload)))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()
        # Without the way back to us nobody holds paho's client any longer than we do, and it closes its own sockets.
        self._paho.on_connect = self._paho.on_subscribe = self._paho.on_message = None

    def start(self, *topics: str) -> bool:
        """Connect; whether the broker let us in. Returns when it has answered, our subscriptions too."""
        self._topics = topics
        self._paho.connect_async("127.0.0.1", self._port)
        self._paho.loop_start()
        is_in = self.answers.get(timeout=GIVE_UP_S)
        assert not is_in or not topics or self._subscribed.wait(GIVE_UP_S)
        return is_in

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """QoS 1; kept by paho while the broker is away."""
        self._paho.publish(topic, payload, 1, retain=retain)

    def drain(self) -> list[Message]:
        """Everything that has arrived since the last call."""
        return [self.messages.get_nowait() for _ in range(self.messages.qsize())]

    def _on_connect(self, client: paho.Client, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure and self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
        self.answers.put(not reason.is_failure)


@dataclass
class Town:
    """A directory with a gateway's settings, a broker's configuration, devices and an aggregator that sign."""

    directory: Path
    devices: list[SigningDevice]
    gateway: bytes = bytes.fromhex("aa" * 16)
    aggregator: SigningAggregator = field(default_factory=SigningAggregator)
    port: int = field(default_factory=free_port)
    passwords: dict[str, str] = field(default_factory=dict)
    extra: str = ""
    roster_extra: str = ""
    sign_unsynchronised: bool = True
    tls: bool = False
    meters: str = ""

    @property
    def account(self) -> str:
        """The gateway's own account file as broker-config wrote it, its files found from gateway.toml."""
        text = (self.directory / "broker" / "accounts" / f"{self.gateway.hex()}.toml").read_text()
        return text.replace('_file = "', '_file = "broker/accounts/')

    @property
    def settings_file(self) -> Path:
        """gateway.toml."""
        return self.directory / "gateway.toml"

    @property
    def spool_file(self) -> Path:
        """The gateway's spool."""
        return self.directory / "spool.db"

    def found(self) -> "Town":
        """Write the roster, let the command make the broker's configuration, write gateway.toml."""
        roster = self.directory / "accounts.toml"
        roster.write_text(
            f'commune = "{COMMUNE}"\naggregator = true\ngateways = ["{self.gateway.hex()}"]\n'
            f"devices = {[device.id.hex() for device in self.devices]}\n{self.roster_extra}\n"
        )
        place = [str(self.directory / "broker"), "--port", str(self.port), *([] if self.tls else ["--plaintext"])]
        command("gateway", "broker-config", str(roster), *place)
        self.passwords = tomllib.loads((self.directory / "broker" / "passwords.toml").read_text())
        self.settings_file.write_text(
            f'id = "{self.gateway.hex()}"\ncommune = "{COMMUNE}"\n'
            f'genesis_sha256 = "{self.aggregator.genesis.hex()}"\n'
            f'aggregator_public_key = "{self.aggregator.key.public_key.hex()}"\n'
            'key_file = "gateway.key"\nspool_file = "spool.db"\nstatus_file = "status.json"\n'
            # A container's kernel often does not call its clock synchronised.
            f"sign_unsynchronised = {str(self.sign_unsynchronised).lower()}\n"
            f"batch_age_s = 0.05\nresend_s = 0.5\nreconnect_s_max = 1\n{self.extra}\n"
            f"[local]\n{self.account}\n{self.meters}"
        )
        return self

    @contextmanager
    def client(self, username: str, *subscriptions: str) -> Iterator["Client"]:
        """A connection that is up and has its subscriptions answered, granted or not."""
        with self.connection(username) as client:
            client.start(*subscriptions)
            yield client

    def connection(self, username: str) -> Client:
        """A client of this account, not yet started."""
        ca_file = self.directory / "broker" / "ca.pem" if self.tls else None
        return Client(self.port, username, self.passwords.get(username, ""), ca_file)

    @contextmanager
    def broker(self) -> Iterator[subprocess.Popen[bytes]]:
        """The real broker, while the `with` lasts."""
        with (
            (self.directory / "nats.log").open("ab") as log,
            started([NATS, "-c", str(self.directory / "broker" / "nats.conf")], stderr=log) as process,
        ):
            wait_for(lambda: answers(self.port), "the broker")
            yield process

    def start_gateway(self, *arguments: str, under: list[str] | None = None) -> subprocess.Popen[bytes]:
        """The real gateway process; `under`: a command that starts it, to limit what it may do."""
        with (self.directory / "gateway.log").open("ab") as log:
            argv = [*(under or []), COMMONWATT, "gateway", "run", str(self.settings_file), *arguments]
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @contextmanager
    def running_gateway(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """The gateway while the `with` lasts; it must end well when asked."""
        process = self.start_gateway(*arguments)
        try:
            yield process
        finally:
            end(process)

    def registry_message(self, *records: DeviceRecord) -> Message:
        """The registry as the aggregator publishes it."""
        return Message(of_gateway(COMMUNE, self.gateway, REGISTRY), self.aggregator.registry(records))

    def status(self) -> dict[str, Any]:
        """status.json, {} before the first."""
        path = self.directory / "status.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def log(self) -> str:
        """What the gateway said."""
        return (self.directory / "gateway.log").read_text()


def command(*words: str) -> str:
    """Run the command to its end; its output."""
    done = subprocess.run([COMMONWATT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def started(argv: list[str], **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process while the `with` lasts."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **how)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and see it end."""
    if process.poll() is None:
        process.terminate()
    process.wait(GIVE_UP_S)


SEED = int(os.environ.get("SEED", "1"))
