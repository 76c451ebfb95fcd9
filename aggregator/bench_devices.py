"""What many devices cost: growth of the cost per block, memory, start-up.

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

from aggregator import testing
from aggregator.commune.meters import Meters
from aggregator.commune.registry import Directory
from aggregator.evidence import pages
from aggregator.intake.evidence import Evidence
from aggregator.intake.heads import Heads
from aggregator.intake.keys import Keys
from aggregator.intake.pipeline import Intake
from aggregator.sql import Database
from aggregator.testing import COMMUNE, GENESIS, TIME_S, GatewayStandIn, ident, key
from commonwatt.block import FIRST_LINK, Block, Channel, link
from commonwatt.evidence_page import Octets, Page, halves, octets
from commonwatt.identity import ID_SIZE, KEY_SIZE, SigningKey, key_hint
from commonwatt.mqtt import Message
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.testing import ManualClock
from commonwatt.units import INTERVAL_S
from ledger.book.body import AdmitAccount, AdmitDevice, AdmitSite
from ledger.book.kinds import DeviceRole, Grade, Subject
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
        rng = np.random.default_rng(count)
        self._signers = [SigningKey.generate() for _ in range(sample)]
        self._seq = 0
        self._prev = [FIRST_LINK] * sample
        self._database = Database(f"sqlite:///{path}")
        evidence = Evidence(self._database)
        keys = _keys(rng, count, self._signers)
        _fill(evidence.heads, keys)
        self._gateway = GatewayStandIn()
        self.intake = Intake(
            evidence=evidence,
            directory=Directory(0, keys, {}, {ident(testing.GATEWAY): key(testing.GATEWAY).public_key}),
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


def _keys(rng: np.random.Generator, count: int, signers: list[SigningKey]) -> Keys:
    """Keys of `count` devices, among them the signers' at random places."""
    device = _octets(rng, count, ID_SIZE)
    device = device[np.lexsort(halves(device)[::-1])]
    public_key = _octets(rng, count, KEY_SIZE)
    hint = rng.integers(0, 2**63, count, dtype=np.uint64)
    places = rng.choice(count, len(signers), replace=False)
    public_key[places] = octets((signer.public_key for signer in signers), KEY_SIZE)
    hint[places] = [int.from_bytes(key_hint(signer.public_key), "big") for signer in signers]
    order = np.argsort(hint).astype(np.uint32)
    zeros = np.zeros(count, dtype=np.uint8)
    return Keys(device, public_key, zeros, np.full(count, 9000), hint[order], order).shared()


def _octets(rng: np.random.Generator, count: int, size: int) -> Octets:
    return np.frombuffer(rng.bytes(count * size), dtype=np.uint8).reshape(count, size).copy()


def _fill(heads: Heads, keys: Keys) -> None:
    """Every device has been heard of, and sends its first block next."""
    count = len(keys)
    links = np.zeros((count, len(FIRST_LINK)), dtype=np.uint8)
    order = np.random.default_rng(1).permutation(count)
    heads.fill(keys.device[order], np.full(count, -1), links, np.zeros(count, dtype=np.int64))


def measure_memory_per_device(count: int = DEVICES) -> Figure:
    """Resident bytes a device of registry (keys, meters) and chain state: what a fresh process grows by, with every
    page of mapped files touched. Each device has a site and a member of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_resident, (count,)) / count, "B"


def _resident(count: int) -> int:
    before = _held()
    rng = np.random.default_rng(0)
    keys = _keys(rng, count, [])
    meters = Meters(
        keys,
        role=np.zeros(count, dtype=np.uint8),
        grade=np.zeros(count, dtype=np.uint8),
        unsold_permille=np.full(count, 1000, dtype=np.uint16),
        site=np.arange(count, dtype=np.uint32),
        account=np.arange(count, dtype=np.uint32),
        feeder=np.zeros(count, dtype=np.uint16),
        sites=rng.bytes(ID_SIZE * count),
        accounts=rng.bytes(ID_SIZE * count),
        feeders=(None,),
    )
    heads = Heads()
    _fill(heads, keys)
    heads.latest_s[:] = 1
    touched = sum(int(column.sum()) for column in (keys.device, keys.public_key, keys.hint, keys.order, keys.status))
    grown = _held() - before
    assert touched
    assert len(meters) == len(heads) == count
    return grown


def _held() -> int:
    """Resident bytes, without what the allocator has free."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident * resource.getpagesize()


def measure_startup(count: int = DEVICES) -> Figure:
    """Seconds of CPU until the aggregator's own parts stand again: registry from the ledger's state, chains from
    their pages and as many blocks of evidence after them as there are devices. Opening the ledger is not in it."""
    state = _state(count)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        _evidence(url, count)
        started_s = time.process_time()
        with Database(url) as database:
            heads = Evidence(database).heads
            directory = Directory.of(state)
            elapsed_s = time.process_time() - started_s
            assert len(heads) == len(directory.meters) == count
    return elapsed_s, "s of CPU"


def _state(count: int) -> State:
    """A ledger's state with devices at sites of their own."""
    state = State()
    rng = np.random.default_rng(2)
    member = rng.bytes(ID_SIZE)
    state.admissions.admit(AdmitAccount(Subject.MEMBER, member, rng.bytes(KEY_SIZE), rng.bytes(32)))
    for _device in range(count):
        site = AdmitSite(rng.bytes(ID_SIZE), member, rng.bytes(32))
        state.admissions.admit(site)
        state.admissions.admit(
            AdmitDevice(rng.bytes(ID_SIZE), site.id, rng.bytes(KEY_SIZE), DeviceRole.MAIN, 9000, Grade.DEVICE)
        )
    return state


def _evidence(url: str, count: int) -> None:
    """Two blocks of each device: pages of chains know the first, evidence has both."""
    rng = np.random.default_rng(3)
    devices = _octets(rng, count, ID_SIZE)
    with Database(url) as database:
        heads = Heads()
        for seq in range(2):
            for start in range(0, count, SAMPLE):
                some = devices[start : start + SAMPLE]
                page = _page(rng, some, seq, seq * count + start + 1)
                numbers = heads.of(some)
                with database.transaction() as connection:
                    pages.append(connection, page)
                    if seq == 0:
                        heads.keep(connection, len(some), seq * count + start)
                heads.advance(numbers, page.seq, page.sha256[:, :16], page.end_s)


def _page(rng: np.random.Generator, devices: Octets, seq: int, first_id: int) -> Page:
    count = len(devices)
    time_s = np.full(count, TIME_S + 3600 * seq)
    return Page(
        device=devices,
        gateway=devices,
        seq=np.full(count, seq),
        id=np.arange(first_id, first_id + count),
        received_s=time_s,
        start_s=time_s,
        end_s=time_s + 3600,
        size=np.full(count, 200),
        sha256=_octets(rng, count, 32),
        signed=rng.bytes(200 * count),
    )
