"""What others do wrong, through a real broker into the real parts: nothing is lost, nobody waits, books stay exact.

The clocks are in our hand, so that rates are counted and not timed.
"""

import gzip
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aggregator import testing
from aggregator.clock_watch import ClockWatch, Doubt
from aggregator.commune.registry import Directory
from aggregator.desk import Desk
from aggregator.enrolment.desk import ClaimDesk
from aggregator.receive import mqtt
from aggregator.receive.gate import LANE_FULL, Gate, Limits
from aggregator.receive.jetstream import JetStreamReceiver
from aggregator.receive.mqtt import Claims
from aggregator.testing import COMMUNE, GATEWAY, GENESIS, TIME_S, MeterStandIn, ident
from commonwatt import topics
from commonwatt.clock import CivilClock
from commonwatt.mqtt import MqttLink
from commonwatt.refusal import Hold, Refusal
from commonwatt.transport import BATCH_SIZE_MAX
from ledger import testing as book
from ledger.sequencer import Placed
from tests.aggregator.conftest import Works
from tests.aggregator.programs import (
    BALANCES,
    Broker,
    Gateway,
    Service,
    balances,
    found,
    free_port,
    hour_of,
    running_broker,
    wait_for,
)

pytestmark = pytest.mark.story
LIAR = "liar"
LIMITS = Limits(batches_per_s=1, batches_burst=4, lane_batches=8)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for all tests that leave it alone, with accounts for both gateways."""
    with running_broker(tmp_path_factory.mktemp("broker"), gateways=(GATEWAY, LIAR)) as broker:
        yield broker


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test alone, which may be killed."""
    directory = tmp_path / "broker"
    directory.mkdir()
    with running_broker(directory, gateways=(GATEWAY, LIAR)) as broker:
        yield broker


@dataclass
class Station:
    """An aggregator's parts behind the real broker; one turn at a time."""

    works: Works
    broker: Broker
    stack: ExitStack
    gate: Gate = field(init=False)
    desk: Desk = field(init=False)
    watch: ClockWatch = field(init=False)
    link: MqttLink = field(init=False)

    def open(self, *, limits: Limits = LIMITS, jetstream: bool = False) -> "Station":
        works, clock, claims = self.works, self.works.clock, Claims()
        assert isinstance(works.ledger.submit([book.gateway(LIAR)])[0], Placed)
        works.intake.directory = Directory.of(works.ledger.state)
        self.gate = Gate(limits, clock, batch_bytes_max=BATCH_SIZE_MAX)
        self.watch = ClockWatch(civil=clock, protocol=clock)
        account, offer = self.broker.account("aggregator"), None if jetstream else self.gate.offer
        channels = {"claims": claims, "hear": lambda _state: None, "offer": offer}
        self.link = mqtt.link(account, COMMUNE, client_id="aggregator", **channels)
        self.stack.enter_context(self.link)
        if jetstream:
            url = f"nats://127.0.0.1:{self.broker.nats_port}"
            receiver = JetStreamReceiver(url, account, COMMUNE, self.gate, ack_wait_s=1)
            self.stack.enter_context(receiver)
            wait_for(lambda: receiver.trouble is None, "the stream")
        claim_desk = ClaimDesk(works.directory / "private.db", clock=clock)
        parts = {"claims": claims, "claim_desk": claim_desk, "genesis": GENESIS, "stages": works.stages}
        self.desk = Desk(gate=self.gate, intake=works.intake, link=self.link, watch=self.watch, **parts)
        wait_for(lambda: self.link.is_up, "the aggregator's connection")
        return self

    def gateway(self, name: str = GATEWAY) -> Gateway:
        gateway = Gateway(self.broker, name)
        self.stack.enter_context(gateway.link)
        wait_for(lambda: gateway.link.is_up, "a gateway's connection")
        return gateway

    def turn(self) -> None:
        """What a process does again and again."""
        self.desk.step(wait_s=0.01)
        if self.watch.tick():
            self.works.closer.step(self.works.intake.directory)

    def counted(self, name: str) -> int:
        found = self.works.rows(f"SELECT value FROM counter WHERE name = '{name}'")
        return int(found[0][0]) if found else 0

    def finish(self) -> dict[str, int]:
        """Let the grace go by and mint; the balances."""
        self.works.close_until(TIME_S + 3600)
        return self.works.balances()


@pytest.fixture
def station(works: Works, broker: Broker) -> Iterator[Callable[..., Station]]:
    """Opens the station."""
    with ExitStack() as stack:
        yield lambda which=broker, **how: Station(works, which, stack).open(**how)


def test_a_gateway_that_lies_about_others_blocks(station):
    """It changes, forges and withholds blocks of others and speaks in another's name: its lies are refused one by
    one, no device is frozen for them, and whoever brings the truth is paid to the milli-credit."""
    here = station()
    liar, honest = here.gateway(LIAR), here.gateway()
    blocks = hour_of(testing.meters())
    changed = blocks[8][:-1] + bytes([blocks[8][-1] ^ 1])
    forged = MeterStandIn("ana-main", testing.meters()["ana-main"].quantities)
    forged_block = forged.draft(TIME_S, [(0, 0), (9000, 0)]).sign(testing.key(LIAR))
    stranger = MeterStandIn("nobody's").sign(TIME_S, [(0,), (9,)])
    liar.send(changed, blocks[8], forged_block, stranger, blocks[10], b"", blocks[10][:40])
    liar.deliver_all(here.turn)
    assert liar.receipts[0].refused == {
        0: Refusal.BAD_SIGNATURE,
        2: Refusal.UNKNOWN_DEVICE,
        3: Refusal.UNKNOWN_DEVICE,
        5: Refusal.MALFORMED,
        6: Refusal.MALFORMED,
    }
    # In another's name: the broker does not pass on what is on another's topic, and the signature tells the rest.
    posing = testing.GatewayStandIn(GATEWAY).batch(blocks[:1])
    liar.link.publish(posing.topic, posing.payload)
    liar.link.publish(topics.of_gateway(COMMUNE, ident(LIAR), topics.BATCH), posing.payload)
    honest.send(*blocks)
    honest.deliver_all(here.turn)
    wait_for(lambda: here.turn() or here.counted("batches.dropped.bad-signature"), "what was sent in another's name")
    assert honest.receipts[0].refused == {}
    assert here.counted("batches.received") == 3
    assert here.counted("blocks.duplicate") == 2
    assert sorted(here.works.kept()) == sorted(blocks)
    assert here.works.rows("SELECT count(*) FROM conflict") == [(0,)]
    assert here.finish() == BALANCES
    assert here.works.judged() == []


def test_a_flood_of_one_gateway_holds_up_nobody(station):
    """While time stands still the flood has its burst and no more, and the others all their receipts; as time goes by
    it gets what the limits allow, and in the end everything of it is kept, once."""
    here = station()
    flood, honest = here.gateway(LIAR), here.gateway()
    plug = testing.meters()["ana-plug"]
    many = plug.sign_each(TIME_S, [(0,)] * 41)
    for signed in many:
        flood.send(signed)
    wait_for(lambda: here.gate.turned_away[LANE_FULL] == len(many) - LIMITS.lane_batches, "the flood at the gate")
    blocks = hour_of(testing.meters())
    for start in range(0, len(blocks), 3):
        honest.send(*blocks[start : start + 3])
    honest.deliver_all(here.turn)
    assert here.counted("batches.received") == LIMITS.batches_burst + 4
    assert {receipt.seq: receipt.refused for receipt in honest.receipts} == {seq: {} for seq in range(4)}
    flood.listen(0.2)
    assert len(flood.receipts) <= LIMITS.batches_burst

    seconds = 0

    def a_second_later() -> None:
        nonlocal seconds
        seconds += 1
        here.works.clock.advance(1)
        here.turn()
        assert here.counted("batches.received") <= 4 + LIMITS.batches_burst + seconds

    flood.deliver_all(a_second_later)
    assert sorted(here.works.kept()) == sorted([*blocks, *many])
    assert here.finish() == BALANCES


@pytest.mark.parametrize("jetstream", [False, True], ids=["mqtt", "jetstream"])
def test_a_broker_that_brings_everything_again(station, own_broker, jetstream):
    """Killed before anything was answered, and again afterwards: what its disk or the gateways bring once more is
    kept once, every batch has its receipt, and the books are those of a quiet day."""
    here = station(own_broker, limits=Limits(), jetstream=jetstream)
    gateway = here.gateway()
    blocks = hour_of(testing.meters())
    for block in blocks:
        gateway.send(block)
    wait_for(lambda: here.gate.depth()["batches"] >= len(blocks), "all batches")
    if jetstream:  # nobody acknowledges for longer than the stream waits: it brings them again, meant for another
        wait_for(lambda: here.gate.depth()["batches"] >= 2 * min(len(blocks), 8), "all batches once more")
    for _kill in range(2):
        here.broker.kill()
        here.broker.start()
        wait_for(lambda: here.link.is_up and gateway.link.is_up, "both connections")
        gateway.resend()
        gateway.deliver_all(here.turn)
        for block in blocks:  # a gateway whose spool was put back from a copy: other batches, the same blocks
            gateway.send(block)
        gateway.deliver_all(here.turn)
    assert here.counted("blocks.accepted") == len(blocks)
    assert here.counted("blocks.duplicate") >= 2 * len(blocks)
    assert all(receipt.refused == {} for receipt in gateway.receipts)
    assert sorted(here.works.kept()) == sorted(blocks)
    assert here.finish() == BALANCES


@pytest.mark.parametrize("leap_s", [366 * 86_400, -86_400])
def test_a_clock_that_jumps_while_gateways_send(station, leap_s):
    """Batches are answered whatever the clock says; nothing is closed early, and set right it closes as ever. What
    came while it was behind was from the future, as it said: that waits for a steward, and nothing of it is lost."""
    here = station(limits=Limits())
    gateway = here.gateway()
    blocks = hour_of(testing.meters())
    clock = here.works.clock
    gateway.send(*blocks[:4])
    gateway.deliver_all(here.turn)
    clock.civil_s += leap_s
    here.turn()
    assert here.watch.doubt is (Doubt.LEAPT if leap_s > 0 else None)
    gateway.send(*blocks[4:])
    gateway.deliver_all(here.turn)
    assert gateway.receipts[-1].refused == {}
    assert here.works.rows("SELECT count(*) FROM closing") == [(0,)]
    clock.civil_s -= leap_s
    here.turn()
    assert (here.watch.doubt, here.watch.leaps) == (None, 2)
    balances = here.finish()
    held = here.works.rows("SELECT reason, count(*) FROM held GROUP BY reason")
    assert held == ([(Hold.FUTURE, 8)] if leap_s < 0 else [])
    assert leap_s < 0 or balances == BALANCES
    assert sorted(here.works.kept()) == sorted(blocks)
    assert here.works.judged() == []


class Influx(ThreadingHTTPServer):
    """An InfluxDB as far as writing goes; while it is down it answers 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _InfluxWrites)
        self.is_down = True
        self.lines: list[str] = []


class _InfluxWrites(BaseHTTPRequestHandler):
    server: Influx

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.send_response(503 if self.server.is_down else 204)
        if not self.server.is_down:
            self.server.lines.extend(body.decode().split("\n"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def influx() -> Iterator[Influx]:
    """A server that is down until a test says otherwise."""
    with Influx() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def told(port: int, name: str) -> float:
    """What /metrics says of one figure."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"commonwatt_aggregator_{name} ")), -1.0)


def test_an_influx_that_is_down_for_a_day(tmp_path, broker, influx):
    """A day is received, closed and minted meanwhile; it is said, and it is no failure. When the server is back,
    everything is written, and the books are those of a day on which it was never away."""
    directory = found(tmp_path / "quarter")
    file = tmp_path / "influx.toml"
    words = {"url": f"http://127.0.0.1:{influx.server_port}", "org": "o", "bucket": "b", "token": "t"}
    file.write_text("".join(f'{name} = "{word}"\n' for name, word in words.items()) + "retry_s = 0.05\n")
    clock = CivilClock(TIME_S + 3600, time.time(), 1)
    service = Service(directory, broker, clock, watch_port=free_port(), influx=file)
    service.start()
    gateway = Gateway(broker)
    with gateway.link:
        gateway.send(*hour_of(testing.meters()))
        gateway.deliver_all()
    assert service.stop() == 0
    service.clock = CivilClock(TIME_S + 24 * 3600, time.time(), 1)
    service.start()
    wait_for(lambda: balances(directory) == BALANCES, "the mint")
    wait_for(lambda: told(service.watch_port, "telemetry_up") == 0, "word of it")
    wait_for(lambda: told(service.watch_port, "intervals_closed_total") >= 90, "the day")
    assert told(service.watch_port, "telemetry_behind_seconds") >= 22 * 3600
    assert influx.lines == []
    influx.is_down = False
    wait_for(lambda: told(service.watch_port, "telemetry_up") == 1, "word of its return")
    wait_for(lambda: told(service.watch_port, "telemetry_behind_seconds") == 0, "the last point")
    assert influx.lines
    assert service.stop() == 0
    assert balances(directory) == BALANCES
