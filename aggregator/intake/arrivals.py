"""Checked blocks on their way to evidence: columns, so that thousands cross between processes as a few arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonwatt.evidence_page import Integers, Octets


@dataclass(frozen=True, slots=True)
class Readings:
    """Registers at interval boundaries, one row a register: `row` of its block, civil `time_s`, `quantity` and
    `energy_wh`. Rows of one reading lie together, quantities ascending."""

    row: Integers
    time_s: Integers
    quantity: Integers
    energy_wh: Integers


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Blocks that are what they say, in columns of one length n. `device`, `prev`: (n, 16); `sha256`: (n, 32);
    `reading_count`: of all readings of a block, not only those at interval boundaries."""

    device: Octets
    seq: Integers
    prev: Octets
    start_s: Integers
    flags: Integers
    end_s: Integers
    sha256: Octets
    reading_count: Integers
    readings: Readings

    def __len__(self) -> int:
        return len(self.seq)


class Received(NamedTuple):
    """Checked blocks with what they were received as: `signed` bytes, `gateway` (n, 16), civil `received_s`."""

    arrivals: Arrivals
    signed: Sequence[bytes]
    gateway: Octets
    received_s: Integers


def concatenate(parts: Sequence[Arrivals]) -> Arrivals:
    """The rows of several, one after another."""
    starts = np.cumsum([0, *(len(part) for part in parts)])
    readings = [
        Readings(r.row + start, r.time_s, r.quantity, r.energy_wh)
        for r, start in zip((part.readings for part in parts), starts, strict=False)
    ]
    return Arrivals(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS},
        readings=Readings(
            **{f.name: np.concatenate([getattr(r, f.name) for r in readings]) for f in fields(Readings)}
        ),
    )


def take(arrivals: Arrivals, rows: NDArray[Any]) -> Arrivals:
    """These rows in their order."""
    return Arrivals(
        **{name: getattr(arrivals, name)[rows] for name in _COLUMNS},
        readings=readings_of(arrivals, rows),
    )


def readings_of(arrivals: Arrivals, rows: NDArray[Any]) -> Readings:
    """The readings of these rows, in their order; `row` then counts in `rows`."""
    places = np.full(len(arrivals), -1)
    places[rows] = np.arange(len(rows))
    readings = arrivals.readings
    row = places[readings.row]
    order = np.argsort(row, kind="stable")
    order = order[row[order] >= 0]
    return Readings(row[order], readings.time_s[order], readings.quantity[order], readings.energy_wh[order])


_COLUMNS = [field.name for field in fields(Arrivals) if field.name != "readings"]
