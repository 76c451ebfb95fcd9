"""What devices measured in the past, for whatever looks back: reviews, savings, comparisons, impact.

Read from evidence, so it says the same whenever it is asked with the same `evidence_id_max`.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator.evidence import store
from aggregator.settling.settlement import Registers
from commonwatt import block, cose
from commonwatt.units import INTERVAL_S

UNKNOWN = np.iinfo(np.int64).min
"""The growth over an interval of which a reading at either end is missing."""


def readings(
    connection: sa.Connection, device: bytes, start_s: int, end_s: int, *, evidence_id_max: int | None = None
) -> dict[int, Registers]:
    """Registers by time from `start_s` to `end_s`, both included, at multiples of 900 s; of several readings at one
    time that of the smallest seq."""
    found: dict[int, Registers] = {}
    for kept in store.blocks(connection, [device], start_s, end_s, id_max=evidence_id_max):
        read = block.parse(cose.parse1(kept.signed, size_max=block.SIGNED_SIZE_MAX).payload)
        quantities = [channel.quantity for channel in read.channels]
        for time_s, values in read.readings():
            if time_s % INTERVAL_S == 0 and start_s <= time_s <= end_s:
                found.setdefault(time_s, dict(zip(quantities, values, strict=True)))
    return found


def growth(
    connection: sa.Connection,
    devices: Sequence[bytes],
    quantity: int,
    start_s: int,
    end_s: int,
    *,
    evidence_id_max: int | None = None,
) -> NDArray[np.int64]:
    """Growth of a register in Wh, one row a device, one column an interval of `[start_s, end_s)`; UNKNOWN where a
    reading at either end is missing or lacks the register."""
    times_s = range(start_s, end_s + 1, INTERVAL_S)
    rows = np.full((len(devices), len(times_s) - 1), UNKNOWN)
    for row, device in zip(rows, devices, strict=True):
        known = readings(connection, device, start_s, end_s, evidence_id_max=evidence_id_max)
        registers_wh = [known.get(time_s, {}).get(quantity) for time_s in times_s]
        for at, (before_wh, after_wh) in enumerate(pairwise(registers_wh)):
            if before_wh is not None and after_wh is not None:
                row[at] = after_wh - before_wh
    return rows
