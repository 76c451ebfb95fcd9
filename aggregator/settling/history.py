"""What devices measured in the past, for whatever looks back: reviews, savings, comparisons, impact.

Read from the pages of readings that follow the evidence (open_readings.py), so it says the same whenever it is asked
with the same `evidence_id_max`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import numbers, schema
from aggregator.settling.open_readings import DEVICES_PER_CHUNK, REGISTERS
from aggregator.settling.settlement import Registers
from commonwatt import page
from commonwatt.lookup import distinct
from commonwatt.page import UNKNOWN as UNKNOWN
from commonwatt.page import Integers
from commonwatt.units import INT64_MAX, INTERVAL_S

# UNKNOWN: also the growth over an interval of which a reading at either end is missing.


@dataclass(frozen=True, slots=True)
class Past:
    """Registers of devices in Wh by quantity: one row a time from `start_s` every 900 s, one column a device of
    `devices` (numbers); UNKNOWN where there is no reading or it lacks the register."""

    devices: Integers
    start_s: int
    registers_wh: Mapping[int, Integers]

    def is_read(self) -> NDArray[np.bool_]:
        """Whether there is a reading, whatever registers it has."""
        is_read: NDArray[np.bool_] = np.logical_or.reduce([wh != UNKNOWN for wh in self.registers_wh.values()])
        return is_read

    def steps_wh(self, quantity: int) -> Integers:
        """What a register grew in each interval, one row less; UNKNOWN unless both readings have it."""
        registers_wh = self.registers_wh[quantity]
        is_known = (registers_wh[1:] != UNKNOWN) & (registers_wh[:-1] != UNKNOWN)
        return np.where(is_known, registers_wh[1:] - registers_wh[:-1], UNKNOWN)


def past(
    connection: sa.Connection,
    devices: Integers,
    start_s: int,
    end_s: int,
    *,
    evidence_id_max: int | None = None,
) -> Past:
    """The registers of some devices (numbers, ascending) at the multiples of 900 s from `start_s`, which is one, to
    `end_s`, both included; of several readings at one time that of the smallest seq counts."""
    count = (end_s - start_s) // INTERVAL_S + 1
    registers_wh: dict[int, Integers] = {int(name): np.full((count, len(devices)), UNKNOWN) for name in REGISTERS}
    taken = np.full((count, len(devices)), INT64_MAX)  # the seq of what stands there
    for time_s, columns in _pages(connection, devices, start_s, end_s):
        row = (time_s - start_s) // INTERVAL_S
        at = np.minimum(np.searchsorted(devices, columns["device"]), len(devices) - 1)
        counts = devices[at] == columns["device"]
        if evidence_id_max is not None:
            counts &= columns["evidence_id"] <= evidence_id_max
        # The smallest seq of a device comes last, and stays.
        order = np.argsort(-columns["seq"], kind="stable")
        order = order[(counts & (columns["seq"] < taken[row, at]))[order]]
        taken[row, at[order]] = columns["seq"][order]
        for quantity, values in registers_wh.items():
            values[row, at[order]] = columns[str(quantity)][order] if str(quantity) in columns else UNKNOWN
    return Past(devices, start_s, registers_wh)


def first_s(connection: sa.Connection) -> int | None:
    """The time of the earliest reading that a closing has taken."""
    time_s: int | None = connection.scalar(sa.select(sa.func.min(schema.past_page.c.time_s)))
    return time_s


def readings(
    connection: sa.Connection, device: bytes, start_s: int, end_s: int, *, evidence_id_max: int | None = None
) -> dict[int, Registers]:
    """Registers by time from `start_s` to `end_s`, both included, at multiples of 900 s; of several readings at one
    time that of the smallest seq."""
    start_s = -(-start_s // INTERVAL_S) * INTERVAL_S
    number = numbers.of(connection).find(numbers.octets([device]))
    if number[0] == numbers.NONE or end_s < start_s:
        return {}
    found = past(connection, number, start_s, end_s, evidence_id_max=evidence_id_max)
    return {
        start_s + INTERVAL_S * row: {
            quantity: int(values[row, 0])
            for quantity, values in found.registers_wh.items()
            if values[row, 0] != UNKNOWN
        }
        for row in np.flatnonzero(found.is_read()[:, 0]).tolist()
    }


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
    (rows,) = growths(connection, devices, (quantity,), (start_s, end_s), evidence_id_max=evidence_id_max)
    return rows


def growths(
    connection: sa.Connection,
    devices: Sequence[bytes],
    quantities: Sequence[int],
    span_s: tuple[int, int],
    *,
    evidence_id_max: int | None = None,
) -> list[NDArray[np.int64]]:
    """The same of several registers, whose readings lie in the same pages: those are read once."""
    start_s, end_s = span_s
    grown = [np.full((len(devices), (end_s - start_s) // INTERVAL_S), UNKNOWN) for _quantity in quantities]
    found = numbers.of(connection).find(numbers.octets(devices))
    wanted = distinct(found[found != numbers.NONE])
    for chunk in chunks(wanted):
        read = past(connection, chunk, start_s, end_s, evidence_id_max=evidence_id_max)
        here = np.flatnonzero(np.isin(found, chunk))
        columns = np.searchsorted(chunk, found[here])
        for rows, quantity in zip(grown, quantities, strict=True):
            rows[here] = read.steps_wh(quantity)[:, columns].T
    return grown


def chunks(devices: Integers) -> list[Integers]:
    """Devices (numbers, ascending) in parts whose pages of the past are the same."""
    if not len(devices):
        return []
    chunk_of = devices // DEVICES_PER_CHUNK
    return np.split(devices, np.flatnonzero(chunk_of[1:] != chunk_of[:-1]) + 1)


def forget(connection: sa.Connection, devices: Sequence[bytes]) -> None:
    """Take the readings of devices out of every page, when their evidence goes."""
    found = numbers.of(connection).find(numbers.octets(devices))
    gone = distinct(found[found != numbers.NONE])
    kept, waiting = schema.past_page, schema.reading_page
    for table, is_there in (
        (kept, kept.c.chunk.in_(distinct(gone // DEVICES_PER_CHUNK).tolist())),
        (waiting, sa.true()),
    ):
        keys = list(table.primary_key)
        for *key, data in connection.execute(sa.select(*keys, table.c.columns).where(is_there)).all():
            columns = page.decode(data)
            stays = ~np.isin(columns["device"], gone)
            if not stays.all():
                is_it = sa.and_(*(column == value for column, value in zip(keys, key, strict=True)))
                rest = page.encode({name: column[stays] for name, column in columns.items()})
                connection.execute(sa.update(table).where(is_it).values(columns=rest))


def _pages(
    connection: sa.Connection, devices: Integers, start_s: int, end_s: int
) -> Iterator[tuple[int, Mapping[str, Integers]]]:
    """The pages that may have readings of some devices at some times, with their time."""
    kept, waiting = schema.past_page.c, schema.reading_page.c
    wanted = distinct(devices // DEVICES_PER_CHUNK).tolist()
    of_kept = sa.select(kept.time_s, kept.columns).where(kept.chunk.in_(wanted))
    of_waiting = sa.select(waiting.time_s, waiting.columns)
    for query, time in ((of_kept, kept.time_s), (of_waiting, waiting.time_s)):
        for time_s, data in connection.execute(query.where(time >= start_s, time <= end_s)):
            yield time_s, page.decode(data)
