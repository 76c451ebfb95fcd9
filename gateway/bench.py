"""Figures of the gateway: inputs are made outside the timer, results are checked after it.

Each `measure_…` returns a figure and its unit; `bench/` sets them beside the limits of the machine.
"""

import statistics
import tempfile
import time
from itertools import cycle
from pathlib import Path

from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from gateway.database import Database
from gateway.devices.inbox import Inbox
from gateway.spool import Spool
from gateway.testing import SigningAggregator, SigningDevice, read_batch
from gateway.upstream.batching import BatchLimits
from gateway.upstream.trusted import Aggregator
from gateway.upstream.uplink import Uplink, UplinkRules

Figure = tuple[float, str]

DEVICES = 500
BLOCKS = 5_000
PASSES = 3
COMMIT_BLOCKS = 500
"""Blocks of one group commit, as a busy tick has them."""


def measure_blocks(count: int = BLOCKS, *, passes: int = PASSES, directory: Path | None = None) -> Figure:
    """From block bytes in memory to verified, fsynced in the spool and carried by a signed batch; one thread.

    The median of `passes`. `directory`: where the spool lies; by default the system's temporary directory, whose
    fsync may be cheap.
    """
    return statistics.median(_rate(count, directory) for _ in range(passes)), "blocks/s"


def _rate(count: int, directory: Path | None) -> float:
    devices = [SigningDevice() for _ in range(min(DEVICES, count))]
    messages = [device.message(device.next_block()) for device, _ in zip(cycle(devices), range(count), strict=False)]
    with tempfile.TemporaryDirectory(dir=directory) as folder, Database(Path(folder) / "spool.db") as database:
        spool = Spool(database)
        uplink = _uplink(spool, devices)
        started = time.perf_counter()
        _carry(messages, database, spool, uplink)
        elapsed_s = time.perf_counter() - started
        carried = [block for batch in spool.closed_batches() for block in read_batch(batch.signed).blocks]
        assert carried == [message.payload for message in messages]
    return count / elapsed_s


def _carry(messages: list[Message], database: Database, spool: Spool, uplink: Uplink) -> None:
    inbox = Inbox()
    for start in range(0, len(messages), COMMIT_BLOCKS):
        with database.transaction():
            verdicts = inbox.judge_all(messages[start : start + COMMIT_BLOCKS], uplink.devices)
            spool.add([verdict.spooled() for verdict in verdicts if verdict.refusal is None], 0)
            uplink.close_batches()


def _uplink(spool: Spool, devices: list[SigningDevice]) -> Uplink:
    aggregator = SigningAggregator()
    spool.keep_registry(aggregator.registry(device.record() for device in devices))
    return Uplink(
        commune="bench",
        gateway=bytes(16),
        key=SigningKey.generate(),
        aggregator=Aggregator(aggregator.key.public_key, aggregator.genesis),
        spool=spool,
        rules=UplinkRules(limits=BatchLimits(COMMIT_BLOCKS, 128 * 1024, 0.0), in_flight_max=BLOCKS, resend_s=60.0),
        civil=CivilClock(),
        protocol=MonotonicClock(),
    )
