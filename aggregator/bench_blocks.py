"""`blocks`: from batch bytes in memory to evidence, receipts, settled intervals and mints in the ledger.

Every device has a key of its own and signs a block an hour: four readings of two registers. When the blocks of an
hour are in, its intervals close, and when a window has closed its mints go into a ledger on the disk. The clock that
decides what is due is set forward; nothing else is spared: commits are durable, the log is published, every claim is
reviewed.

`python -m aggregator.bench_blocks [DEVICES [HOURS]]` prints the seconds of each stage.
"""

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

from aggregator import testing
from aggregator.commune import enacted
from aggregator.commune.registry import Directory
from aggregator.desk import BATCHES_PER_COMMIT
from aggregator.intake.checking import Keys
from aggregator.intake.evidence import Evidence
from aggregator.intake.pipeline import Intake
from aggregator.minting.outbox import Minter
from aggregator.settling import claim_pages
from aggregator.settling.closing import Closer
from aggregator.settling.interval import Meter, Source
from aggregator.sql import Database
from aggregator.statements.signers import Signers
from aggregator.testing import COMMUNE, GENESIS, POLICY, TIME_S, GatewayStandIn, ident, key
from commonwatt.block import FIRST_LINK, Block, Channel, link
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.registry import DeviceRecord, Status
from commonwatt.testing import ManualClock
from commonwatt.units import INTERVAL_S
from ledger.app import LOG
from ledger.book.kinds import ISSUANCE, DeviceRole
from ledger.log.published import PublishedLog
from ledger.sequencer import Sequencer

Figure = tuple[float, str]

DEVICES = 500_000
HOURS = 3
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
    made = _inputs(count, hours)
    stages = Stages(count * hours)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ledger = stack.enter_context(testing.quarter(directory))
        for account in made.accounts:
            ledger.state.book.open_account(account)  # admissions are not what is measured
        database = stack.enter_context(Database(f"sqlite:///{directory / 'aggregator.db'}"))
        clock = ManualClock(TIME_S)
        intake = Intake(
            evidence=Evidence(database),
            directory=made.directory,
            key=key("aggregator"),
            commune=COMMUNE,
            genesis=GENESIS,
            clock=clock,
            processes=processes,
        )
        stack.callback(intake.close)
        known = enacted.follow(database, PublishedLog(directory / LOG), Signers.of(ledger.state))
        closer = Closer(database=database, known=known, genesis_s=TIME_S, clock=clock)
        minter = Minter(database=database, ledger=ledger, key=key("aggregator"))
        intake.take([])  # the processes are there when the clock starts
        for hour, batches in enumerate(made.batches):
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


@dataclass(frozen=True)
class _Inputs:
    directory: Directory
    accounts: list[bytes]
    batches: list[list[Message]]


def _inputs(count: int, hours: int) -> _Inputs:
    """Devices with keys, and for each hour the batches that bring a block of each, in another order every hour."""
    starts = range(0, count, SIGNED_AT_ONCE)
    with ProcessPoolExecutor(PROCESSES) as pool:
        parts = list(
            pool.map(_sign, starts, [min(SIGNED_AT_ONCE, count - at) for at in starts], [hours] * len(starts))
        )
    keys = [public_key for part, _blocks in parts for public_key in part]
    devices = [ident(f"device {number}") for number in range(count)]
    records = [
        DeviceRecord(device, public_key, Status.ACTIVE, testing.RATED_POWER_W)
        for device, public_key in zip(devices, keys, strict=True)
    ]
    meters = {
        device: Meter(device, _role(number), ident(f"site {number}"), ident(f"home {number}"), testing.RATED_POWER_W)
        for number, device in enumerate(devices)
    }
    directory = Directory(
        log_size=0,
        keys=Keys.of(records),
        meters=meters,
        gateways={ident(testing.GATEWAY): key(testing.GATEWAY).public_key},
    )
    gateway, shuffled = GatewayStandIn(), random.Random(1)  # noqa: S311 what is measured, not what is secret
    batches = []
    for hour in range(hours):
        blocks = [block for _keys, part in parts for block in part[hour]]
        shuffled.shuffle(blocks)
        places = range(0, count, BLOCKS_PER_BATCH)
        batches.append([gateway.batch(blocks[at : at + BLOCKS_PER_BATCH]) for at in places])
    return _Inputs(directory, [meter.account for meter in meters.values()], batches)


def _role(number: int) -> DeviceRole:
    return DeviceRole.PRODUCTION if number % HOMES_PER_ROOF == 1 else DeviceRole.MAIN


def _sign(first: int, count: int, hours: int) -> tuple[list[bytes], list[list[bytes]]]:
    """Public keys of some devices and, for each hour, their blocks."""
    keys = [SigningKey.generate() for _ in range(count)]
    hourly: list[list[bytes]] = []
    links = [FIRST_LINK] * count
    for hour in range(hours):
        blocks = [_block(first + at, hour, links[at]).sign(signer) for at, signer in enumerate(keys)]
        links = [link(signed) for signed in blocks]
        hourly.append(blocks)
    return [signer.public_key for signer in keys], hourly


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
