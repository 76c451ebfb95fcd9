"""What many devices cost: growth of the cost per block, memory. What a start costs is in bench_start.py.

Devices beyond a sample only have to be there: their keys are random bytes, which nobody looks at. The sample's keys
and signatures are real, and its devices are spread among all others by their ids.
"""

import ctypes
import gc
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from aggregator import bench_town, testing
from aggregator.commune.registry import Directory
from aggregator.evidence import pages
from aggregator.intake.evidence import Evidence
from aggregator.intake.heads import Heads
from aggregator.intake.keys import Keys
from aggregator.intake.pipeline import Intake
from aggregator.sql import Database
from aggregator.testing import COMMUNE, GENESIS, TIME_S, GatewayStandIn, ident, key
from commonwatt.block import FIRST_LINK, Block, Channel, link
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.testing import ManualClock
from commonwatt.units import INTERVAL_S
from ledger.book.body import AdmitGateway
from ledger.book.state import State

Figure = tuple[float, str]

FEW, MANY = 50_000, 5_000_000
DEVICES = 500_000
SAMPLE = 12_800
ROUNDS = 4
BLOCKS_PER_BATCH = 200


def measure_growth(few: int = FEW, many: int = MANY, sample: int = SAMPLE, rounds: int = ROUNDS) -> Figure:
    """CPU time of a block from batch bytes to durable evidence, among `many` devices, in % of that among `few`.

    In one process, the two in turns; each round brings one block of each device of the sample. All devices are
    registered and have a chain in memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        sides = [_Side(Path(folder) / f"{count}.db", count, sample) for count in (few, many)]
        spent_s = [0.0, 0.0]
        for round_ in range(rounds + 1):
            for at, side in enumerate(sides):
                batches = side.batches()
                started_s = time.process_time()
                receipts = side.intake.take(batches)
                if round_:  # the first warms the caches up
                    spent_s[at] += time.process_time() - started_s
                assert len(receipts) == len(batches)
        for side in sides:
            side.check(sample * (rounds + 1))
    return 100 * spent_s[1] / spent_s[0], "% of its cost among 50,000"


class _Side:
    """An intake that knows `count` devices, `sample` of which send."""

    def __init__(self, path: Path, count: int, sample: int) -> None:
        self._signers = [SigningKey.generate() for _ in range(sample)]
        self._seq = 0
        self._prev = [FIRST_LINK] * sample
        self._database = Database(f"sqlite:///{path}")
        evidence = Evidence(self._database)
        directory = _directory(count, self._signers)
        _fill(evidence.heads, directory.keys)
        self._gateway = GatewayStandIn()
        self.intake = Intake(
            evidence=evidence,
            directory=directory,
            key=key("aggregator"),
            commune=COMMUNE,
            genesis=GENESIS,
            clock=ManualClock(TIME_S),
        )

    def batches(self) -> list[Message]:
        """The next block of each device of the sample."""
        channels = tuple(Channel(q.number, 10**6 + 498 * self._seq, (120, 77, 301)) for q in (IMPORT, EXPORT))
        start_s = TIME_S + 4 * INTERVAL_S * self._seq
        blocks = [
            Block(self._seq, prev, start_s, INTERVAL_S, 0, channels).sign(signer)
            for signer, prev in zip(self._signers, self._prev, strict=True)
        ]
        self._seq += 1
        self._prev = [link(block) for block in blocks]
        starts = range(0, len(blocks), BLOCKS_PER_BATCH)
        return [self._gateway.batch(blocks[start : start + BLOCKS_PER_BATCH]) for start in starts]

    def check(self, blocks: int) -> None:
        """Everything that was sent is evidence."""
        with self._database.transaction() as connection:
            kept = sum(len(page) for page in pages.read(connection, pages.table.blocks > 0, with_blocks=False))
        self._database.close()
        assert kept == blocks


def _directory(count: int, signers: list[SigningKey]) -> Directory:
    """`count` devices, the first of which have the signers' keys; their ids are anywhere among all ids."""
    state = State()
    state.admissions.admit(AdmitGateway(ident(testing.GATEWAY), key(testing.GATEWAY).public_key))
    bench_town.settle(state, count, public_keys=[signer.public_key for signer in signers], members=1)
    return Directory.of(state)


def _fill(heads: Heads, keys: Keys) -> None:
    """Every device has been heard of, and sends its first block next."""
    count = len(keys)
    links = np.zeros((count, len(FIRST_LINK)), dtype=np.uint8)
    order = np.random.default_rng(1).permutation(count)
    heads.fill(keys.device[order], np.full(count, -1), links, np.zeros(count, dtype=np.int64))


def measure_memory_per_device(count: int = DEVICES) -> Figure:
    """Resident bytes a device of registry and chain state, those of the ledger among them: its admission and its
    site's, their places by id and by key, what settlement knows of it, its chain. What a fresh process grows by."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_resident, (count,)) / count, "B"


def _resident(count: int) -> int:
    state, heads = State(), Heads()
    _directory(1, [])  # what is imported or made once is not a device's
    before = _held()
    bench_town.settle(state, count, members=1)
    directory = Directory.of(state)
    _fill(heads, directory.keys)
    heads.latest_s[:] = 1
    grown = _held() - before
    assert len(directory.meters) == len(heads) == count
    return grown


def _held() -> int:
    """Resident bytes, without what the allocator has free."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident * resource.getpagesize()
