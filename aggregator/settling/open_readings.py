"""Readings that wait for their interval to close: put there with their evidence, taken when it closes.

They are a view of the evidence that no closing has taken yet: pages of the readings of one time (docs/spec/pages.md),
one per commit, which a closing joins to `past_page`, the view of the evidence that closings have taken (history.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.settling import registers
from aggregator.sql import insert_rows
from commonwatt import page
from commonwatt.page import UNKNOWN, Integers, Octets
from commonwatt.quantities import QUANTITIES

Row = tuple[int, bytes, int, bytes, int, int]
"""time_s, device, seq, stored registers (registers.py), received_s, evidence_id."""

DEVICES_PER_CHUNK = 4096
"""Devices with numbers that follow each other share their pages of the past and of what is settled."""

_ORDER = ("device", "seq", "received_s", "evidence_id", "flags")
_PAST = ("device", "seq", "evidence_id")
REGISTERS = tuple(str(quantity) for quantity in sorted(QUANTITIES))
"""Names of the columns of registers: their quantities."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings at multiples of 900 s, one row each. `devices`: ids (n, 16). `registers_wh`: by quantity, UNKNOWN in
    the rows whose reading lacks it. `flags`: those of the block in its first row here, 0 in its others."""

    times_s: Integers
    devices: Octets
    seqs: Integers
    received_s: Integers
    evidence_ids: Integers
    flags: Integers
    registers_wh: Mapping[int, Integers]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Readings as a closing takes them. `devices`: numbers; the rest as in Columns."""

    times_s: Integers
    devices: Integers
    seqs: Integers
    received_s: Integers
    evidence_ids: Integers
    flags: Integers
    registers_wh: Mapping[int, Integers]

    def __len__(self) -> int:
        return len(self.times_s)


def put(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Keep readings until their interval closes, in the transaction that keeps their blocks; none has flags."""
    if not rows:
        return
    times_s, devices, seqs, stored, received_s, evidence_ids = zip(*rows, strict=True)
    decoded = [registers.decode(data) for data in stored]
    quantities = {quantity for registers_wh in decoded for quantity in registers_wh}
    columns = Columns(
        _integers(times_s),
        numbers.octets(devices),
        *(_integers(seqs), _integers(received_s), _integers(evidence_ids)),
        np.zeros(len(rows), dtype=np.int64),
        {q: _integers([registers_wh.get(q, UNKNOWN) for registers_wh in decoded]) for q in quantities},
    )
    put_columns(connection, columns)


def put_columns(connection: sa.Connection, readings: Columns) -> None:
    """The same for readings in columns: one page for each time among them."""
    if not len(readings.times_s):
        return
    order = np.argsort(readings.times_s, kind="stable")
    times_s = readings.times_s[order]
    columns = {
        "device": numbers.of(connection).of(connection, readings.devices)[order],
        "seq": readings.seqs[order],
        "received_s": readings.received_s[order],
        "evidence_id": readings.evidence_ids[order],
        "flags": readings.flags[order],
        **{str(quantity): values[order] for quantity, values in readings.registers_wh.items()},
    }
    begins = np.flatnonzero(np.r_[True, times_s[1:] != times_s[:-1]]).tolist()
    rows = []
    for first, last in zip(begins, [*begins[1:], len(times_s)], strict=True):
        part = {name: column[first:last] for name, column in columns.items()}
        rows.append({"time_s": int(times_s[first]), "columns": page.encode(part)})
    connection.execute(sa.insert(schema.reading_page), rows)


def take(connection: sa.Connection, end_s: int) -> Waiting:
    """Every reading up to `end_s`: from now on they belong to the past."""
    waiting = schema.reading_page.c
    rows = connection.execute(sa.select(waiting.time_s, waiting.columns).where(waiting.time_s <= end_s)).all()
    pages = [page.decode(row.columns) for row in rows]
    columns = page.concatenate(pages, (*_ORDER, *_present(pages)))
    times_s = np.repeat(_integers([row.time_s for row in rows]), [len(found["device"]) for found in pages])
    if rows:
        _remember(connection, end_s, times_s, columns)
        connection.execute(sa.delete(schema.reading_page).where(waiting.time_s <= end_s))
    device, seq, received_s, evidence_id, flags = (columns[name] for name in _ORDER)
    registers_wh = {int(name): columns[name] for name in _present(pages)}
    return Waiting(times_s, device, seq, received_s, evidence_id, flags, registers_wh)


def _remember(connection: sa.Connection, closing_s: int, times_s: Integers, columns: dict[str, Integers]) -> None:
    """Write what a closing takes as pages of the past: by time and chunk of devices, in the order of devices."""
    chunks = columns["device"] // DEVICES_PER_CHUNK
    order = np.lexsort((columns["device"], chunks, times_s))
    times_s, chunks = times_s[order], chunks[order]
    is_first = np.r_[True, (times_s[1:] != times_s[:-1]) | (chunks[1:] != chunks[:-1])]
    begins = np.flatnonzero(is_first).tolist()
    names = [*_PAST, *(name for name in columns if name in REGISTERS)]
    kept = {name: columns[name][order] for name in names}
    rows = [
        (
            *(int(times_s[first]), int(chunks[first]), closing_s),
            page.encode({name: column[first:last] for name, column in kept.items()}),
        )
        for first, last in zip(begins, [*begins[1:], len(times_s)], strict=True)
    ]
    insert_rows(connection, _INSERT_PAST, rows)


def _present(pages: Sequence[Mapping[str, Integers]]) -> list[str]:
    return [name for name in REGISTERS if any(name in found for found in pages)]


def _integers(values: Sequence[int]) -> Integers:
    return np.array(values, dtype=np.int64)


_INSERT_PAST = sa.insert(schema.past_page)
