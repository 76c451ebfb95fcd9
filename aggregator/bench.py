"""Figures of the aggregator: inputs are made outside the timer, results are checked after it.

Each `measure_…` returns a figure and its unit; `bench/` sets them beside the limits of the machine.
"""

import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

from aggregator import schema, testing
from aggregator.commune.registry import Directory
from aggregator.desk import BATCHES_PER_COMMIT
from aggregator.intake.checking import Keys
from aggregator.intake.evidence import Evidence
from aggregator.intake.pipeline import Intake
from aggregator.sql import Database
from aggregator.testing import COMMUNE, GENESIS, TIME_S, GatewayStandIn, ident, key
from commonwatt.block import FIRST_LINK, Block, Channel
from commonwatt.identity import SigningKey, new_id
from commonwatt.mqtt import Message
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.registry import DeviceRecord, Status
from commonwatt.testing import ManualClock
from commonwatt.units import INTERVAL_S

Figure = tuple[float, str]

BLOCKS = 20_000
BLOCKS_PER_BATCH = 200
READINGS = 4
PROCESSES = 2


def measure_blocks(count: int = BLOCKS, processes: int = PROCESSES) -> Figure:
    """From batch bytes in memory to durable evidence, chain state and signed receipts.

    One block each of `count` devices with keys of their own: four readings of two registers. `processes` verify
    beside the one that commits; 0: everything in this one.
    """
    directory, batches = _inputs(count)
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{Path(folder) / 'bench.db'}") as database:
        intake = Intake(
            evidence=Evidence(database),
            directory=directory,
            key=key("aggregator"),
            commune=COMMUNE,
            genesis=GENESIS,
            clock=ManualClock(TIME_S + INTERVAL_S * READINGS),
            processes=processes,
        )
        receipts = intake.take([])  # the processes are there when the clock starts
        started = time.perf_counter()
        for start in range(0, len(batches), BATCHES_PER_COMMIT):
            intake.begin(batches[start : start + BATCHES_PER_COMMIT])
            receipts += intake.finish(leave=BATCHES_PER_COMMIT)
        receipts += intake.finish()
        elapsed_s = time.perf_counter() - started
        intake.close()
        with database.transaction() as connection:
            kept = connection.scalar(sa.select(sa.func.sum(schema.evidence_page.c.blocks)))
        assert kept == count
        assert len(receipts) == len(batches)
    return count / elapsed_s, "blocks/s"


def _inputs(count: int) -> tuple[Directory, list[Message]]:
    """A directory of `count` devices and the batches that bring one block of each."""
    keys = {new_id(): SigningKey.generate() for _ in range(count)}
    records = [DeviceRecord(device, signer.public_key, Status.ACTIVE, 9000) for device, signer in keys.items()]
    directory = Directory(
        log_size=0,
        keys=Keys.of(records),
        meters={},
        gateways={ident(testing.GATEWAY): key(testing.GATEWAY).public_key},
    )
    channels = tuple(
        Channel(quantity.number, 10**6, (120, 0, 77, 301)[: READINGS - 1]) for quantity in (IMPORT, EXPORT)
    )
    block = Block(0, FIRST_LINK, TIME_S, INTERVAL_S, 0, channels)
    blocks = [block.sign(signer) for signer in keys.values()]
    gateway = GatewayStandIn()
    starts = range(0, count, BLOCKS_PER_BATCH)
    return directory, [gateway.batch(blocks[start : start + BLOCKS_PER_BATCH]) for start in starts]
