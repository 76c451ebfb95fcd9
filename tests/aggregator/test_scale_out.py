"""Several aggregators over one PostgreSQL and one stream, killed at seeded instants: the books stay exact."""

import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregator import testing
from aggregator.evidence import store
from aggregator.sql import Database
from aggregator.testing import TIME_S
from commonwatt.clock import CivilClock
from tests.aggregator.programs import (
    BALANCES,
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
PROCESSES = 3
SEED = int(os.environ.get("SEED", "1"))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker with JetStream at its own port; its stream is of this test alone."""
    directory = tmp_path / "broker"
    directory.mkdir()
    with running_broker(directory) as broker:
        yield broker


class Fleet:
    """Aggregators of one commune, started by the same configuration."""

    def __init__(self, directory: Path, broker: Broker, postgres_url: str) -> None:
        self.directory = found(directory)
        (directory / "aggregator.toml").write_text(f'database = "{postgres_url}"\n')
        self.url = postgres_url
        clock = CivilClock(TIME_S + 3600, time.time(), 1)
        self.services = [
            Service(directory, broker, clock, name=str(number), jetstream=True, watch_port=free_port())
            for number in range(PROCESSES)
        ]

    def start(self) -> None:
        for service in self.services:
            service.start()
        wait_for(lambda: all(self.health(service) for service in self.services), "all processes")

    def set_clock(self, civil_s: int) -> None:
        """For those started from now on."""
        for service in self.services:
            service.clock = CivilClock(civil_s, time.time(), 1)

    def health(self, service: Service) -> dict[str, Any]:
        """{} while it does not answer."""
        url = f"http://127.0.0.1:{service.watch_port}/health"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))
        except OSError:
            return {}

    def leaders(self) -> list[Service]:
        return [service for service in self.services if self.health(service).get("leads")]

    def stop(self) -> list[int]:
        return [service.stop() for service in self.services]

    def evidence(self) -> list[bytes]:
        with Database(self.url) as database, database.transaction() as connection:
            return [kept.signed for kept in store.all_blocks(connection)]


@pytest.fixture
def fleet(tmp_path: Path, broker: Broker, postgres_url: str) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path / "quarter", broker, postgres_url)
    yield fleet
    for service in fleet.services:
        if service.process is not None and service.process.poll() is None:
            service.kill()


@pytest.mark.parametrize("seed", [SEED, *(pytest.param(SEED + n, marks=pytest.mark.soak) for n in range(1, 40))])
def test_the_books_are_those_of_one_process_when_any_is_killed(fleet, gateway, seed):
    """Any of three, the leader too, while batches are in flight and while windows are minted; no block twice."""
    print("seed", seed)
    rng = random.Random(seed)
    blocks = hour_of(testing.meters())
    rng.shuffle(blocks)
    fleet.start()
    for block in blocks[:6]:
        gateway.send(block)
    time.sleep(rng.uniform(0, 0.1))  # the instant of the kill is the input, nothing is awaited
    rng.choice(fleet.services).kill()
    for block in blocks[6:]:
        gateway.send(block)
    gateway.deliver_all()
    for service in fleet.services:
        service.kill()
    fleet.set_clock(TIME_S + 4 * 3600)
    fleet.start()
    wait_for(fleet.leaders, "a leader")
    (leader,) = fleet.leaders()
    time.sleep(rng.uniform(0, 4))  # before, while or after it closes and mints
    leader.kill()
    wait_for(fleet.leaders, "another leader")
    wait_for(lambda: balances(fleet.directory) == BALANCES, "the mint")
    leader.start()
    wait_for(lambda: fleet.health(leader), "the one that was killed")
    assert len(fleet.leaders()) == 1
    wait_for(lambda: fleet.health(leader)["status"] != "failing", "its health")
    assert fleet.stop() == [0] * PROCESSES
    assert sorted(fleet.evidence()) == sorted(blocks)
    assert balances(fleet.directory) == BALANCES


def test_a_second_history_is_seen_whoever_receives_it(fleet, gateway):
    """Blocks of one chain reach different processes; the one that contradicts it is refused by all of them."""
    fleet.start()
    true, forged = testing.meters()["ana-main"], testing.meters()["ana-main"]
    for at, signed in enumerate(true.sign_each(TIME_S, [(70 * index, 0) for index in range(5)])):
        gateway.send(signed)
        if at < 3:
            gateway.deliver_all()  # the next one follows what another process may have kept
    forged.sign(TIME_S, [(0, 0), (70, 0)])
    lie = forged.sign(TIME_S + 900, [(70, 0), (7000, 0)])
    for _ in range(6):
        gateway.send(lie)
    gateway.deliver_all()
    refused = {receipt.seq: dict(receipt.refused) for receipt in gateway.receipts}
    assert refused == {seq: {} if seq < 4 else {0: 7} for seq in range(10)}
    assert fleet.stop() == [0] * PROCESSES
    assert len(fleet.evidence()) == 4
