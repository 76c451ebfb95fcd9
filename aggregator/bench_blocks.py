"""`blocks`: from batch bytes in memory to evidence, receipts, settled intervals and mints in the ledger.

Every device has a key of its own and signs a block an hour: four readings of two registers. When the blocks of an
hour are in, its intervals close, and when a window has closed its mints go into a ledger on the disk. The clock that
decides what is due is set forward; nothing else is spared: commits are durable, the log is published, every claim is
reviewed. Signing, which is the meters' work, is done between the hours and not counted; one hour of blocks is in
memory at a time.

What is left out: a review looks at most eight days back, and here it finds the hours that were run and no more; sites
declare nothing and have no plugs, so nothing is asked of the sky or of a site's other meters. Devices, sites and
members stand in the ledger's state as a saved one has them: nobody signed their admissions.

`python -m aggregator.bench_blocks [DEVICES [HOURS]]` prints the seconds of each stage.
"""

import hashlib
import multiprocessing
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aggregator import bench_town, testing
from aggregator.commune import enacted
from aggregator.commune.registry import Directory
from aggregator.desk import BATCHES_PER_COMMIT
from aggregator.intake.evidence import Evidence
from aggregator.intake.pipeline import Intake
from aggregator.minting.outbox import Minter
from aggregator.settling import claim_pages
from aggregator.settling.closing import Closer
from aggregator.settling.interval import Source
from aggregator.sql import Database
from aggregator.statements.signers import Signers
from aggregator.testing import COMMUNE, GENESIS, POLICY, TIME_S, GatewayStandIn, key
from commonwatt.block import FIRST_LINK, Block, Channel, link
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.testing import ManualClock
from commonwatt.units import INTERVAL_S
from ledger.app import LOG
from ledger.book.kinds import ISSUANCE, DeviceRole
from ledger.book.state import State
from ledger.log.published import PublishedLog
from ledger.sequencer import Sequencer

Figure = tuple[float, str]

DEVICES = 500_000
HOURS = 4
"""More than two minutes of blocks at the rate that is asked for: 10,400 a second."""
HOUR_S = 3600
READINGS = 4
BLOCKS_PER_BATCH = 200
PROCESSES = 2
HOMES_PER_ROOF = 5
SIGNED_AT_ONCE = 5_000


@dataclass
class Stages:
    """Seconds of wall clock and of this process's CPU by stage, and how many blocks went through all of them."""

    blocks: int = 0
    wall_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cpu_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Count what is done meanwhile."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        yield
        self.wall_s[stage] += time.perf_counter() - wall_s
        self.cpu_s[stage] += time.process_time() - cpu_s

    @property
    def blocks_per_s(self) -> float:
        """Over all stages."""
        return self.blocks / sum(self.wall_s.values())


def measure_blocks(count: int = DEVICES, hours: int = HOURS, processes: int = PROCESSES) -> Figure:
    """Blocks a second, with `processes` that verify beside the one that keeps, settles and mints."""
    return run(count, hours, processes).blocks_per_s, "blocks/s"


def run(count: int, hours: int, processes: int) -> Stages:
    """`count` devices for some hours."""
    stages = Stages(count * hours)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ledger = stack.enter_context(testing.quarter(directory))
        fleet = stack.enter_context(_Fleet(count))
        fleet.move_in(ledger.state)
        database = stack.enter_context(Database(f"sqlite:///{directory / 'aggregator.db'}"))
        clock = ManualClock(TIME_S)
        intake = Intake(
            evidence=Evidence(database),
            directory=Directory.of(ledger.state),
            key=key("aggregator"),
            commune=COMMUNE,
            genesis=GENESIS,
            clock=clock,
            processes=processes,
        )
        stack.callback(intake.close)
        known = enacted.follow(database, PublishedLog(directory / LOG), Signers(ledger.state))
        closer = Closer(database=database, known=known, genesis_s=TIME_S, clock=clock)
        minter = Minter(database=database, ledger=ledger, key=key("aggregator"))
        for hour in range(hours):
            batches = fleet.batches(hour)
            clock.civil_s = TIME_S + HOUR_S * hour + INTERVAL_S * READINGS
            receipts = _take(intake, batches, stages)
            assert len(receipts) == len(batches)
            clock.civil_s += POLICY.rules.grace_s - INTERVAL_S
            _close(closer, minter, intake.directory, stages)
        clock.civil_s += INTERVAL_S
        _close(closer, minter, intake.directory, stages)
        _check(database, ledger, stages.blocks)
    return stages


def _take(intake: Intake, batches: Sequence[Message], stages: Stages) -> list[Message]:
    receipts: list[Message] = []
    with stages.time("intake"):
        for start in range(0, len(batches), BATCHES_PER_COMMIT):
            intake.begin(batches[start : start + BATCHES_PER_COMMIT])
            receipts += intake.finish(leave=BATCHES_PER_COMMIT)
        receipts += intake.finish()
    return receipts


def _close(closer: Closer, minter: Minter, directory: Directory, stages: Stages) -> None:
    with stages.time("settle, value"):
        while closer.step(directory):
            pass
    with stages.time("mint"):
        minter.step()


def _check(database: Database, ledger: Sequencer, blocks: int) -> None:
    """Every span is settled, and what was claimed is in the ledger, to the milli-credit."""
    with database.transaction() as connection:
        claims = claim_pages.read(connection, 0, TIME_S + 10 * HOUR_S)
        waiting = connection.exec_driver_sql("SELECT count(*) FROM reading_page").scalar()
        held = connection.exec_driver_sql("SELECT count(*) FROM held").scalar()
        accepted = connection.exec_driver_sql("SELECT value FROM counter WHERE name = 'blocks.accepted'").scalar()
    assert (accepted, waiting, held) == (blocks, 0, 0)
    assert set(np.unique(claims.source)) == {Source.PRODUCTION, Source.MATCHED}
    assert ledger.state.book.balance_mc(ISSUANCE) == -int(claims.amount_mc.sum())


class _Fleet:
    """Devices that sign, in other processes; for `with`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._links = [FIRST_LINK] * count
        self._gateway, self._shuffled = GatewayStandIn(), random.Random(1)  # noqa: S311 what is measured is no secret
        # A fresh interpreter: a forked one would keep this one's memory, and its open ledger.
        self._pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"))

    def __enter__(self) -> "_Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def move_in(self, state: State) -> None:
        """Be admitted, each behind a site of a member of its own."""
        public_keys = [key for part in self._pool.map(_public_keys, *self._parts()) for key in part]
        known = len(state.admissions.by_id.accounts)
        bench_town.settle(state, self._count, public_keys=public_keys, roles=list(map(_role, range(self._count))))
        for account in state.admissions.by_id.accounts.rows["id"][known:].tolist():
            state.note_wallet(account)

    def batches(self, hour: int) -> list[Message]:
        """A block of every device for an hour, in another order every time."""
        starts, counts = self._parts()
        links = [self._links[start : start + SIGNED_AT_ONCE] for start in starts]
        blocks = [
            block for part in self._pool.map(_sign, starts, counts, [hour] * len(starts), links) for block in part
        ]
        self._links = [link(block) for block in blocks]
        self._shuffled.shuffle(blocks)
        places = range(0, len(blocks), BLOCKS_PER_BATCH)
        return [self._gateway.batch(blocks[at : at + BLOCKS_PER_BATCH]) for at in places]

    def _parts(self) -> tuple[range, list[int]]:
        starts = range(0, self._count, SIGNED_AT_ONCE)
        return starts, [min(SIGNED_AT_ONCE, self._count - start) for start in starts]


def _role(number: int) -> DeviceRole:
    return DeviceRole.PRODUCTION if number % HOMES_PER_ROOF == 1 else DeviceRole.MAIN


def _signer(number: int) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(f"device {number}".encode()).digest())


def _public_keys(first: int, count: int) -> list[bytes]:
    return [_signer(number).public_key for number in range(first, first + count)]


def _sign(first: int, count: int, hour: int, links: Sequence[bytes]) -> list[bytes]:
    """The blocks of some devices for an hour, after those that these links name."""
    return [_block(first + at, hour, links[at]).sign(_signer(first + at)) for at in range(count)]


def _block(number: int, hour: int, prev: bytes) -> Block:
    """An hour of a home that draws from the grid, or of one in five that feeds in what its neighbours use."""
    feeds = number % HOMES_PER_ROOF in (0, 1)
    growth = [(137 * number + 31 * (READINGS * hour + step)) % 400 for step in range(READINGS)]
    registers = {IMPORT.number: not feeds, EXPORT.number: feeds}
    channels = tuple(
        Channel(quantity, 10**6 + _before(number, hour) * grows, tuple(wh * grows for wh in growth[: READINGS - 1]))
        for quantity, grows in registers.items()
    )
    return Block(hour, prev, TIME_S + HOUR_S * hour, INTERVAL_S, 0, channels)


def _before(number: int, hour: int) -> int:
    """What a device's growing register counted before an hour."""
    return sum((137 * number + 31 * step) % 400 for step in range(READINGS * hour))


def _print(stages: Stages) -> None:
    for stage, wall_s in stages.wall_s.items():
        cpu_s = stages.cpu_s[stage]
        per_block = f"{cpu_s / stages.blocks * 1e6:6.1f} µs a block"
        sys.stdout.write(f"{stage:15} {wall_s:8.2f} s  {cpu_s:8.2f} s of CPU  {per_block}\n")
    sys.stdout.write(f"{'all':15} {stages.blocks_per_s:8.0f} blocks/s\n")


if __name__ == "__main__":
    devices, hours = (int(text) for text in (sys.argv[1:] + [str(DEVICES), str(HOURS)][len(sys.argv) - 1 :]))
    _print(run(devices, hours, PROCESSES))
