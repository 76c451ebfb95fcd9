"""`commonwatt aggregator run` as a process of its own, behind a real broker, killed in the middle of things."""

import json
import random
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator import testing
from aggregator.books import CATCH_UP_S
from aggregator.private.store import PrivateStore
from aggregator.testing import COMMUNE, GATEWAY, TIME_S, MeterStandIn, commonwatt, ident, key
from commonwatt import cbor, cose, status, topics
from commonwatt.clock import CivilClock
from commonwatt.demo.judge.pages import read_blocks
from commonwatt.identity import save_key
from commonwatt.quantities import EXPORT
from commonwatt.refusal import Refusal
from tests.aggregator.programs import (
    BALANCES,
    PATIENCE_S,
    SPEED,
    Broker,
    Service,
    balances,
    found,
    free_port,
    hour_of,
    running_broker,
    wait_for,
)

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for all tests of this file; each uses retained topics only through its own aggregator."""
    with running_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def service(tmp_path: Path, broker: Broker) -> Iterator[Service]:
    """A founded quarter with its aggregator not yet started; civil time runs from an hour after TIME_S."""
    service = Service(found(tmp_path / "quarter"), broker, CivilClock(TIME_S + 3600, time.time(), SPEED))
    yield service
    if service.process is not None and service.process.poll() is None:
        service.kill()


def page(port: int) -> str:
    """The first page of the pages that an aggregator serves beside its books."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


def test_a_batch_becomes_receipt_evidence_and_credits(service, gateway):
    """Registry out, batch in, receipt out, and meanwhile the pages; after the grace the mint stands in the published
    log; exit code 0."""
    service.pages_port = free_port()
    service.start()
    wait_for(lambda: gateway.listen(0.05) or gateway.registry, "the registry")
    assert gateway.registry is not None
    assert len(gateway.registry.devices) == 5
    blocks = hour_of(testing.meters())
    stranger = MeterStandIn("stranger").sign(TIME_S, [(0,)])
    gateway.send(*blocks, stranger)
    gateway.deliver_all()
    assert gateway.receipts[0].refused == {len(blocks): 4}
    assert "Testville" in page(service.pages_port)
    wait_for(lambda: service.state().get("windows_minted"), "the mint")
    state = service.state()
    assert state["blocks"] == {"received": 13, "accepted": 12, "duplicate": 0, "refused": {"unknown-device": 1}}
    assert service.stop() == 0
    assert balances(service.directory) == BALANCES
    assert status.read(service.status_file)["credits_mc"][ident("sun").hex()] == BALANCES["sun"]


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 20))])
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
    """A sentence on standard error, no traceback, no receipt, and its pages end with it; started again, the batch is
    answered."""
    service.pages_port = free_port()
    service.start()
    wait_for(lambda: service.status_file.exists(), "the service")
    assert "Testville" in page(service.pages_port)
    holder = sqlite3.connect(service.directory / "aggregator.db", isolation_level=None, timeout=PATIENCE_S)
    holder.execute("BEGIN IMMEDIATE")
    gateway.send(*hour_of(testing.meters()))
    assert service.process is not None
    assert service.process.wait(PATIENCE_S) == 3
    holder.close()
    words = service.log_file.read_text()
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
