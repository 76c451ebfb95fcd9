"""Batches close by count, bytes and age, travel in a window, and are sent again until a true receipt names them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commonwatt import cose, transport
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.refusal import Refusal
from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from commonwatt.topics import of_gateway
from commonwatt.transport import Receipt, sha256
from gateway.database import Database
from gateway.spool import NewBlock, Spool
from gateway.testing import MemoryLink, SigningAggregator, SigningDevice, read_batch
from gateway.upstream.batching import BatchLimits
from gateway.upstream.trusted import Aggregator
from gateway.upstream.uplink import Uplink, UplinkRules

COMMUNE, GATEWAY = "demo", bytes(16)
RECEIPT_TOPIC, REGISTRY_TOPIC = (of_gateway(COMMUNE, GATEWAY, channel) for channel in ("receipt", "registry"))
KEY = SigningKey.from_seed(bytes(32))
RESEND_S = 20.0
LIMITS = BatchLimits(3, 10_000, 10.0)


class Bench:
    """An uplink over a real spool, with both clocks, the connection and the aggregator in the test's hand."""

    def __init__(self, path: Path, limits: BatchLimits = LIMITS, in_flight_max: int = 2) -> None:
        self.path, self.clock, self.link = path, ManualClock(), MemoryLink()
        self.aggregator, self.device = SigningAggregator(), SigningDevice()
        self.rules = UplinkRules(limits=limits, in_flight_max=in_flight_max, resend_s=RESEND_S)
        self.open()

    def open(self) -> None:
        """Start, or start again on the same file."""
        self.database = Database(self.path)
        self.spool = Spool(self.database)
        self.uplink = Uplink(
            commune=COMMUNE,
            gateway=GATEWAY,
            key=KEY,
            aggregator=Aggregator(self.aggregator.key.public_key, self.aggregator.genesis),
            spool=self.spool,
            rules=self.rules,
            civil=self.clock,
            protocol=self.clock,
        )

    def arrive(self, count: int) -> list[bytes]:
        """Blocks come in."""
        signed = [self.device.next_block() for _ in range(count)]
        blocks = [NewBlock(self.device.id, index, sha256(data), data) for index, data in enumerate(signed)]
        with self.database.transaction():
            assert self.spool.add(blocks, int(self.clock.now_s())) == count
        return signed

    def tick(self) -> list[bytes]:
        """One turn; returns the batches that were sent."""
        with self.database.transaction():
            self.uplink.close_batches()
        self.uplink.send(self.link)
        return [message.payload for message in self.link.take()]

    def deliver(self, payload: bytes, topic: str = RECEIPT_TOPIC) -> bool:
        """A message from upstream."""
        with self.database.transaction():
            return self.uplink.receive(Message(topic, payload))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "spool.db")
    yield bench
    bench.database.close()


def test_batch_when_enough_blocks_wait(bench: Bench) -> None:
    """At the count and not one below, a batch is closed: signed for this commune, blocks exactly as received."""
    signed = bench.arrive(2)
    assert bench.tick() == []
    signed += bench.arrive(1)
    (batch,) = bench.tick()
    message = cose.parse1(batch, size_max=transport.BATCH_SIZE_MAX)
    assert message.is_signed_by(KEY.public_key, cose.external_aad("batch", bytes(32)))
    assert not message.is_signed_by(KEY.public_key, cose.external_aad("batch", b"\x01" * 32))
    assert list(read_batch(batch).blocks) == signed


def test_batch_when_enough_bytes_wait(tmp_path: Path) -> None:
    """A batch holds as many blocks as fit its bytes, and at least one."""
    size = len(SigningDevice().next_block())
    bench = Bench(tmp_path / "spool.db", BatchLimits(100, 2 * size + 10, 10.0))
    bench.arrive(5)
    assert [len(read_batch(batch).blocks) for batch in bench.tick()] == [2, 2]
    bench.database.close()


def test_batch_when_a_block_has_waited(bench: Bench) -> None:
    """A lone block leaves when it has waited its age, in protocol time."""
    bench.arrive(1)
    assert bench.tick() == []
    bench.clock.advance(9.9)
    assert bench.tick() == []
    bench.clock.advance(0.1)
    assert len(bench.tick()) == 1


def test_window_when_it_is_full(bench: Bench) -> None:
    """No more batches are closed than may travel at once; a receipt makes room for the next."""
    bench.arrive(12)
    first, second = bench.tick()
    assert bench.tick() == []
    bench.deliver(bench.aggregator.receipt(second))
    (third,) = bench.tick()
    assert [read_batch(batch).seq for batch in (first, second, third)] == [0, 1, 2]
    assert bench.spool.count == 9


def test_send_when_no_receipt_comes(bench: Bench) -> None:
    """A batch is sent again after the time, the same bytes, until its receipt; then never again."""
    bench.arrive(3)
    (batch,) = bench.tick()
    bench.clock.advance(RESEND_S - 0.1)
    assert bench.tick() == []
    bench.clock.advance(0.1)
    assert bench.tick() == [batch]
    assert (bench.uplink.sent, bench.uplink.resent) == (1, 1)
    bench.deliver(bench.aggregator.receipt(batch))
    bench.clock.advance(RESEND_S)
    assert bench.tick() == []
    assert (bench.uplink.receipted, bench.spool.count) == (1, 0)


def test_send_when_the_broker_is_away(bench: Bench) -> None:
    """Nothing is lost while there is no connection: batches go out when it is back."""
    bench.link.is_up = False
    bench.arrive(3)
    assert bench.tick() == []
    bench.link.is_up = True
    assert len(bench.tick()) == 1
    assert (bench.uplink.sent, bench.uplink.resent) == (1, 0)


def test_send_when_the_gateway_was_killed(bench: Bench) -> None:
    """After a restart the very same bytes go out again, and numbers go on."""
    bench.arrive(3)
    (batch,) = bench.tick()
    bench.database.close()
    bench.open()
    assert bench.tick() == [batch]
    assert bench.uplink.resent == 1
    bench.arrive(3)
    assert [read_batch(other).seq for other in bench.tick()] == [1]


def test_receipt_when_it_refuses_a_block(bench: Bench) -> None:
    """A refused block is kept aside with its reason; the others are delivered, and known when they come again."""
    signed = bench.arrive(3)
    (batch,) = bench.tick()
    bench.deliver(bench.aggregator.receipt(batch, {1: Refusal.CONFLICT}))
    assert bench.spool.refused_by_reason() == {"conflict": 1}
    newest = [(b.device, b.seq, b.reason) for b in bench.spool.newest_refused(20)]
    assert newest == [(bench.device.id, 1, Refusal.CONFLICT)]
    assert bench.database.execute("SELECT signed FROM refused") == [(signed[1],)]
    again = NewBlock(bench.device.id, 0, sha256(signed[0]), signed[0])
    with bench.database.transaction():
        assert bench.spool.add([again], 0) == 0


def test_receipt_when_it_cannot_be_believed(bench: Bench) -> None:
    """A receipt by another key, for another commune, batch or hash, or beyond the batch, changes nothing."""
    bench.arrive(3)
    (batch,) = bench.tick()
    other_hash = Receipt(0, bytes(32)).encode()
    never_sent = Receipt(7, sha256(batch)).encode()
    beyond = Receipt(0, sha256(batch), {3: Refusal.MALFORMED}).encode()
    ours = bench.aggregator
    for payload, reason in (
        (SigningAggregator().receipt(batch), "bad-signature"),
        (SigningAggregator(ours.key, b"\x01" * 32).receipt(batch), "bad-signature"),
        (ours.sign(Receipt(0, sha256(batch)).encode(), "registry"), "bad-signature"),
        (ours.sign(other_hash, "receipt"), "unknown-batch"),
        (ours.sign(never_sent, "receipt"), "unknown-batch"),
        (ours.sign(beyond, "receipt"), "malformed"),
        (b"", "malformed"),
        (bytes(transport.RECEIPT_SIZE_MAX + 1), "too-large"),
    ):
        before = bench.uplink.ignored[reason]
        bench.deliver(payload)
        assert bench.uplink.ignored[reason] == before + 1
        assert (bench.spool.count, bench.uplink.in_flight, bench.uplink.receipted) == (3, 1, 0)


def test_receipt_when_it_comes_twice(bench: Bench) -> None:
    """The second receipt of a batch that was sent twice is counted and harmless."""
    bench.arrive(3)
    (batch,) = bench.tick()
    for _ in range(2):
        bench.deliver(bench.aggregator.receipt(batch))
    assert (bench.uplink.receipted, bench.uplink.ignored) == (1, {"unknown-batch": 1})


def test_registry_when_it_is_newer(bench: Bench) -> None:
    """A newer snapshot is believed and kept: a restarted gateway verifies before the broker delivers."""
    assert bench.deliver(bench.aggregator.registry([bench.device.record()], log_size=5), REGISTRY_TOPIC)
    bench.database.close()
    bench.open()
    assert bench.uplink.devices == {bench.device.id: bench.device.record()}


def test_registry_when_it_is_older_or_forged(bench: Bench) -> None:
    """An older snapshot would bring a revoked device back; it is refused, and so is a forged one."""
    revoked = bench.device.record(Status.REVOKED)
    assert bench.deliver(bench.aggregator.registry([revoked], log_size=5), REGISTRY_TOPIC)
    assert not bench.deliver(bench.aggregator.registry([bench.device.record()], log_size=4), REGISTRY_TOPIC)
    assert not bench.deliver(SigningAggregator().registry([], log_size=9), REGISTRY_TOPIC)
    assert bench.uplink.ignored == {"older-registry": 1, "bad-signature": 1}
    bench.database.close()
    bench.open()
    assert bench.uplink.devices == {bench.device.id: revoked}


def test_registry_when_the_kept_one_is_not_believed_any_more(bench: Bench) -> None:
    """After a change of the aggregator's key the kept snapshot counts for nothing, and the gateway still starts."""
    bench.deliver(bench.aggregator.registry([bench.device.record()]), REGISTRY_TOPIC)
    bench.database.close()
    bench.aggregator = SigningAggregator()
    bench.open()
    assert bench.uplink.devices == {}


def test_uplink_when_the_broker_is_away_for_a_week(bench: Bench) -> None:
    """Blocks pile up in the spool, none is signed beyond the window; then all goes out in order, each block once."""
    bench.link.is_up = False
    made: list[bytes] = []
    for _ in range(7 * 24):
        made += bench.arrive(2)
        bench.clock.advance(3600)
        assert bench.tick() == []
    assert (bench.uplink.in_flight, bench.spool.count) == (2, len(made))
    bench.link.is_up = True
    carried: list[bytes] = []
    while batches := bench.tick():
        for batch in batches:
            carried += read_batch(batch).blocks
            bench.deliver(bench.aggregator.receipt(batch))
    assert carried == made
    assert (bench.spool.count, bench.uplink.ignored, bench.uplink.resent) == (0, {}, 0)


def test_receipts_when_the_broker_redelivers_everything(bench: Bench) -> None:
    """Every receipt ever given, a hundred times: the first counts, the others are counted, nothing else happens."""
    receipts = []
    for _ in range(3):
        bench.arrive(3)
        (batch,) = bench.tick()
        receipts.append(bench.aggregator.receipt(batch))
        bench.deliver(receipts[-1])
    waiting = bench.arrive(2)
    for _ in range(100):
        for receipt in receipts:
            bench.deliver(receipt)
    assert (bench.uplink.receipted, bench.uplink.ignored) == (3, {"unknown-batch": 300})
    assert [block.signed for block in bench.spool.oldest_waiting(count_max=9, bytes_max=10**6)] == waiting


def test_batch_when_the_civil_clock_is_set(bench: Bench) -> None:
    """A jump of a year, either way, neither hurries nor delays a batch: its age is protocol time."""
    bench.arrive(1)
    assert bench.tick() == []
    for jump_s in (365 * 86_400, -730 * 86_400):
        bench.clock.civil_s += jump_s
        assert bench.tick() == []
    bench.clock.advance(10.0)
    (batch,) = bench.tick()
    assert read_batch(batch).sent_s == int(bench.clock.now_s())
