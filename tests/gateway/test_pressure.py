"""Back-pressure: when the way upstream is slow or gone, the spool grows and the memory does not."""

import gc
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.identity import SigningKey
from commonwatt.mqtt import BrokerAccount, MqttLink
from commonwatt.testing import ManualClock
from gateway.age import KEEP_S, AgeClock
from gateway.database import Database
from gateway.devices.asking import AskingDesk
from gateway.devices.claims import ClaimDesk
from gateway.devices.commands import CommandDesk, Commander
from gateway.devices.desks import Desks
from gateway.devices.inbox import Inbox
from gateway.devices.time_answers import TimeDesk
from gateway.meters.polling import Poller, PollRules
from gateway.service import OWN_SHARE, Gateway, SpoolLimits
from gateway.spool import Spool
from gateway.testing import MemoryLink, SigningAggregator, SigningDevice
from gateway.upstream.batching import BatchLimits
from gateway.upstream.trusted import Aggregator
from gateway.upstream.uplink import Uplink, UplinkRules
from tests.gateway.support import COMMUNE, wait_for

GATEWAY = bytes(16)
DAY_S = 86_400
POLL_RULES = PollRules(step_s=900, late_s_max=900, backoff_s_min=2.0, backoff_s_max=300.0)


class Box:
    """A whole gateway but for its threads: connections and clocks are in the test's hand, the spool is real."""

    def __init__(self, path: Path, limits: SpoolLimits) -> None:
        self.clock, self.local, self.upstream = ManualClock(), MemoryLink(), MemoryLink()
        self.devices, self.aggregator = [SigningDevice() for _ in range(10)], SigningAggregator()
        self.database = Database(path)
        spool = Spool(self.database)
        spool.keep_registry(self.aggregator.registry(device.record() for device in self.devices))
        self.poller = Poller(fleet=(), rules=POLL_RULES, civil=CivilClock(), protocol=MonotonicClock())
        key = SigningKey.from_seed(bytes(32))
        commander = Commander(None, self.aggregator.genesis)
        aggregator = Aggregator(self.aggregator.key.public_key, self.aggregator.genesis)
        mine = {"database": self.database, "commune": COMMUNE, "gateway": GATEWAY}
        self.gateway = Gateway(
            database=self.database,
            spool=spool,
            inbox=Inbox(),
            age=AgeClock(database=self.database, civil=self.clock, protocol=self.clock),
            desks=Desks(
                time=TimeDesk(key=key, civil=self.clock),
                commands=CommandDesk(commander=commander, **mine),
                claims=ClaimDesk(**mine),
                asking=AskingDesk(aggregator=aggregator, **mine),
            ),
            uplink=Uplink(
                commune=COMMUNE,
                gateway=GATEWAY,
                key=key,
                aggregator=aggregator,
                spool=spool,
                rules=UplinkRules(limits=BatchLimits(100, 10**6, 1.0), in_flight_max=2, resend_s=20.0),
                civil=self.clock,
                protocol=self.clock,
            ),
            samplers={},
            poller=self.poller,
            local=self.local,
            upstream=self.upstream,
            civil=self.clock,
            limits=limits,
            may_sign=lambda: True,
        )

    def take(self, count: int) -> None:
        """So many blocks arrive, a hundred to a tick; a second passes with each."""
        for start in range(0, count, 100):
            for number in range(start, min(start + 100, count)):
                device = self.devices[number % len(self.devices)]
                self.local.incoming.append(device.message(device.next_block()))
            self.tick()

    def tick(self, seconds: float = 1.0) -> int:
        """One tick; how many messages were acknowledged."""
        self.clock.advance(seconds)
        self.gateway.tick()
        self.upstream.take()
        return len(self.local.take())


@contextmanager
def box(path: Path, *, mib: int = 1024, days: int = 400) -> Iterator[Box]:
    made = Box(path / "spool.db", SpoolLimits(mib * 1024 * 1024, days * DAY_S))
    with made.database, made.poller:
        yield made


def test_memory_when_upstream_never_answers(tmp_path: Path) -> None:
    """Three thousand blocks more in the spool are none more in memory."""
    with box(tmp_path) as gateway:
        gateway.take(500)
        tracemalloc.start()
        try:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            gateway.take(3_000)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert gateway.gateway.spool.count == 3_500
        assert gateway.gateway.uplink.in_flight == 2
        waiting_bytes = gateway.gateway.spool.waiting_bytes
        assert grown < waiting_bytes / 10, f"{grown} bytes more for blocks of {waiting_bytes} bytes"


def test_spool_when_it_reaches_its_size(tmp_path: Path) -> None:
    """At its limit device blocks are turned away, unanswered; one receipt later they are taken again."""
    with box(tmp_path, mib=1) as gateway:
        while not gateway.gateway.turned_away:
            gateway.take(100)
        assert gateway.gateway.spool.size_bytes() >= 1024 * 1024
        assert OWN_SHARE > 1, "our own meters may go on for a while"
        count = gateway.gateway.spool.count
        gateway.take(100)
        assert gateway.gateway.spool.count == count
        while gateway.gateway.spool.size_bytes() >= 1024 * 1024:
            gateway.clock.advance(20.0)
            gateway.gateway.tick()
            for message in gateway.upstream.take():
                if message.topic.endswith("/batch"):
                    receipt = gateway.aggregator.receipt(message.payload)
                    topic = message.topic.replace("/batch", "/receipt")
                    gateway.upstream.incoming.append(type(message)(topic, receipt))
        accepted = gateway.gateway.accepted
        gateway.take(10)
        assert gateway.gateway.accepted == accepted + 10


def test_spool_when_a_clock_jumps_a_year_ahead(tmp_path: Path) -> None:
    """The jump is counted and makes nothing old; days that really pass do, also over a restart."""
    with box(tmp_path, days=2) as gateway:
        gateway.take(300)
        gateway.clock.civil_s += 365 * DAY_S
        gateway.tick()
        gateway.clock.civil_s -= 730 * DAY_S
        gateway.tick()
        assert (gateway.gateway.age.jumps, gateway.gateway.age.last_jump_s) == (2, -730 * DAY_S)
        assert gateway.gateway.expired == 0
        for _ in range(2):
            gateway.tick(DAY_S - 60)
        assert (gateway.gateway.expired, gateway.gateway.spool.count) == (0, 300)
        gateway.tick(200)
        assert (gateway.gateway.expired, gateway.gateway.spool.count) == (100, 200)  # two batches are on their way


def test_age_when_the_gateway_was_off(tmp_path: Path) -> None:
    """Only days of running count: what lay in the cupboard for a year is as old as before."""
    with Database(tmp_path / "spool.db") as database:
        clock = ManualClock()
        age = AgeClock(database=database, civil=clock, protocol=clock)
        clock.advance(KEEP_S)
        with database.transaction():
            age.tick()
        clock.advance(365 * DAY_S)
        again = AgeClock(database=database, civil=clock, protocol=clock)
        assert (again.now_s, again.jumps) == (KEEP_S, 0)


@pytest.mark.parametrize(("civil_per_s", "jumps"), [(1440.0, 0), (1.0, 1)])
def test_age_when_the_civil_clock_is_a_demo_s(tmp_path: Path, civil_per_s: float, jumps: int) -> None:
    """A demo's clock runs fast and has not jumped; a real one that runs so has."""
    with Database(tmp_path / "spool.db") as database, database.transaction():
        clock = ManualClock()
        age = AgeClock(database=database, civil=clock, protocol=clock, civil_per_s=civil_per_s)
        clock.civil_s += 1440 * 10
        clock.protocol_s += 10
        age.tick()
        assert (age.jumps, age.now_s) == (jumps, 10 * civil_per_s)


def test_link_when_the_broker_confirms_nothing(tmp_path: Path) -> None:
    """At the limit of what may be under way one message more is not taken, and its sender is told."""
    limit = 25
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=_accept_and_be_silent, args=(server,), daemon=True).start()
        account = BrokerAccount(url=f"mqtt://127.0.0.1:{port}", username="u", password="p")
        link = MqttLink(account, client_id="c", subscriptions=["x"], outbox_messages_max=limit)
        with link:
            wait_for(lambda: link.is_up, "the connection")
            taken = [link.publish("x", b"y" * 1000) for _ in range(limit + 20 + 5)]
            assert taken == [True] * taken.count(True) + [False] * taken.count(False)
            assert limit <= taken.count(True) <= limit + 20  # paho has twenty on the line beside its queue


def _accept_and_be_silent(server: socket.socket) -> None:
    """A broker that lets everybody in and says no more."""
    connection, _address = server.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(struct.pack("BBBB", 0x20, 2, 0, 0))
        while connection.recv(65536):
            pass
