"""Reads many usual blocks at once, as columns: signed blocks of one layout differ only in the bytes of their values.

A batch holds few layouts. The first block of each is looked at byte by byte; for all others of its length numpy
compares the bytes that say where things are, and reads the values by place. What is read here is exactly what
`cose.parse1` and `block.parse` accept, with the same values; whatever is not read is left to them, which also say
why. tests/commonwatt/test_block_columns.py holds the two to each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from commonwatt.block import CHANNELS_MAX, SIGNED_SIZE_MAX, VERSION
from commonwatt.evidence_page import Integers, Octets
from commonwatt.identity import HINT_SIZE, SIGNATURE_SIZE
from commonwatt.quantities import QUANTITIES
from commonwatt.units import INTERVAL_S

SMALL_MAX = 2**61
"""Values beyond it are left to the general parser: below it no sum of a block leaves 63 bits."""

LAYOUTS_MAX = 64
"""Layouts looked at for blocks of one length; what has yet another is read one by one."""

_HEAD = bytes.fromhex("d28443a10127a10448")  # of a COSE_Sign1, up to the hint
_TAIL = bytes.fromhex("5840")
_KID = len(_HEAD)
_PAYLOAD = _KID + HINT_SIZE
_ELEMENTS = {0x40: (1, 0), 0x45: (2, 1 << 8), 0x46: (4, 1 << 16)}
"""RFC 8746 by the second byte of its tag: bytes of an element, and what the largest must reach."""
_UINT_MIN = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}


@dataclass(frozen=True, slots=True)
class Columns:
    """Blocks of one layout: n blocks of `quantities` registers, each with m readings.

    `row`: which of the blocks handed in; `kid`: (n, 8); `prev`: (n, 16); `energy_wh`: (n, registers, m).
    """

    row: Integers
    kid: Octets
    seq: Integers
    prev: Octets
    start_s: Integers
    step_s: Integers
    flags: Integers
    quantities: tuple[int, ...]
    energy_wh: Integers

    @property
    def reading_count(self) -> int:
        """m: how many readings each block has."""
        return int(self.energy_wh.shape[2])


@dataclass(slots=True)
class _Layout:
    """Where one block has what. `fixed`: places of bytes that say so; `tiny`: places of values below 24."""

    fixed: list[int] = field(default_factory=lambda: [*range(_KID)])
    tiny: list[int] = field(default_factory=list)
    uints: list[tuple[int, int]] = field(default_factory=list)  # place and size; 0: in the byte itself
    prev: int = 0
    flags: int = 0
    quantities: list[int] = field(default_factory=list)
    bases: list[tuple[int, int]] = field(default_factory=list)
    increments: list[tuple[int, int, int]] = field(default_factory=list)  # place, bytes of an element, minimum
    steps: int = 0


def read(blocks: Sequence[bytes]) -> tuple[list[Columns], list[int]]:
    """The usual ones of these signed blocks, by layout; and the rows of all others."""
    sizes = np.fromiter(map(len, blocks), dtype=np.int64, count=len(blocks))
    everything = np.frombuffer(b"".join(blocks), dtype=np.uint8)
    starts = np.cumsum(sizes) - sizes
    found: list[Columns] = []
    others: list[int] = []
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        if size <= SIGNED_SIZE_MAX:
            matrix = everything[starts[rows][:, None] + np.arange(size)]
            rows = _read_size(matrix, rows, found, others)
        others += rows.tolist()
    return found, sorted(others)


def _read_size(matrix: Octets, rows: Integers, found: list[Columns], others: list[int]) -> Integers:
    """Blocks of one length, layout by layout; the rows that are left."""
    for _layout in range(LAYOUTS_MAX):
        if not len(rows):
            break
        layout = _look(matrix[0].tobytes())
        if layout is None:
            others.append(int(rows[0]))
            matrix, rows = matrix[1:], rows[1:]
            continue
        is_like = (matrix[:, layout.fixed] == matrix[0, layout.fixed]).all(axis=1)
        is_like &= (matrix[:, layout.tiny] < 24).all(axis=1)
        alike, its_rows = matrix[is_like], rows[is_like]
        columns, is_good = _values(layout, alike, its_rows)
        found.append(columns)
        others += its_rows[~is_good].tolist()
        matrix, rows = matrix[~is_like], rows[~is_like]
    return rows


def _look(signed: bytes) -> _Layout | None:
    """The layout of one block, if its structure is a usual one. Its values are not looked at."""
    layout = _Layout()
    at, end = _PAYLOAD, len(signed) - SIGNATURE_SIZE - len(_TAIL)
    if end <= at or not signed.startswith(_HEAD) or signed[end : end + 2] != _TAIL:
        return None
    layout.fixed += [end, end + 1]
    head = _string_head(signed, at, 0x40)
    if head is None or at + head[0] + head[1] != end:
        return None
    layout.fixed += range(at, at + head[0])
    at += head[0]
    try:
        at = _look_at_block(signed, at, layout)
    except (IndexError, _UnusualError):
        return None
    return layout if at == end else None


class _UnusualError(Exception):
    """Not the structure of a usual block."""


def _look_at_block(signed: bytes, at: int, layout: _Layout) -> int:
    at = _expect(signed, at, bytes([0x87, VERSION]), layout)
    at = _uint(signed, at, layout)
    at = _expect(signed, at, b"\x50", layout)
    layout.prev = at
    at = _uint(signed, at + 16, layout)
    at = _uint(signed, at, layout)
    layout.flags = at
    layout.tiny.append(at)
    at += 1
    count = signed[at] & 0x1F
    if signed[at] & 0xE0 != 0x80 or not 1 <= count <= CHANNELS_MAX:
        raise _UnusualError
    layout.fixed.append(at)
    at += 1
    for _channel in range(count):
        at = _expect(signed, at, b"\x83", layout)
        layout.fixed.append(at)
        layout.quantities.append(signed[at])
        if signed[at] >= 24:
            raise _UnusualError
        at = _uint(signed, at + 1, layout)
        layout.bases.append(layout.uints.pop())
        at = _expect(signed, at, b"\xd8", layout)
        element = _ELEMENTS.get(signed[at])
        head = _string_head(signed, at + 1, 0x40)
        if element is None or head is None or head[1] % element[0]:
            raise _UnusualError
        layout.fixed += range(at, at + 1 + head[0])
        at += 1 + head[0]
        layout.increments.append((at, *element))
        at += head[1]
        steps = head[1] // element[0]
        if len(layout.increments) > 1 and steps != layout.steps:
            raise _UnusualError
        layout.steps = steps
    return at


def _expect(signed: bytes, at: int, wanted: bytes, layout: _Layout) -> int:
    end = at + len(wanted)
    if signed[at:end] != wanted:
        raise _UnusualError
    layout.fixed += range(at, end)
    return end


def _uint(signed: bytes, at: int, layout: _Layout) -> int:
    """Note where an unsigned integer is; the place after it."""
    first = signed[at]
    if first < 24:
        layout.tiny.append(at)
        layout.uints.append((at, 0))
        return at + 1
    if first > 0x1B:
        raise _UnusualError
    size = 1 << (first - 0x18)
    layout.fixed.append(at)
    layout.uints.append((at + 1, size))
    return at + 1 + size


def _string_head(signed: bytes, at: int, major: int) -> tuple[int, int] | None:
    """How long the head of a byte string is, and how long the string; None for heads that we do not write."""
    first = signed[at] - major
    if 0 <= first < 24:
        return 1, first
    if first == 24 and signed[at + 1] >= 24:
        return 2, signed[at + 1]
    if first == 25 and signed[at + 1]:
        return 3, int.from_bytes(signed[at + 1 : at + 3], "big")
    return None


def _values(layout: _Layout, matrix: Octets, rows: Integers) -> tuple[Columns, NDArray[np.bool_]]:
    """Read blocks of one layout and check what the values must be; which of them are good."""
    is_good = np.ones(len(rows), dtype=np.bool_)
    seq, start_s, step_s = [_read_uint(matrix, *place, is_good) for place in layout.uints]
    is_good &= (step_s > 0) & (INTERVAL_S % np.maximum(step_s, 1) == 0) & (start_s % np.maximum(step_s, 1) == 0)
    is_good &= matrix[:, layout.flags] <= 7
    if any(a >= b for a, b in zip([0, *layout.quantities], layout.quantities, strict=False)) or not all(
        quantity in QUANTITIES for quantity in layout.quantities
    ):
        is_good[:] = False
    registers = []
    for base, (place, size, least) in zip(layout.bases, layout.increments, strict=True):
        base_wh = _read_uint(matrix, *base, is_good)
        raw = np.ascontiguousarray(matrix[:, place : place + size * layout.steps])
        increments = raw.view(f"<u{size}").astype(np.int64).reshape(len(rows), layout.steps)
        if least:
            is_good &= (increments.max(axis=1) >= least) if layout.steps else False
        registers.append(base_wh[:, None] + np.cumsum(np.insert(increments, 0, 0, axis=1), axis=1))
    energy_wh = np.stack(registers, axis=1)
    return (
        Columns(
            row=rows[is_good],
            kid=matrix[is_good, _KID:_PAYLOAD],
            seq=seq[is_good],
            prev=matrix[is_good, layout.prev : layout.prev + 16],
            start_s=start_s[is_good],
            step_s=step_s[is_good],
            flags=matrix[is_good, layout.flags].astype(np.int64),
            quantities=tuple(layout.quantities),
            energy_wh=energy_wh[is_good],
        ),
        is_good,
    )


def _read_uint(matrix: Octets, at: int, size: int, is_good: NDArray[np.bool_]) -> Integers:
    """An unsigned integer of each block; `is_good` forgets those that are not in their shortest form."""
    if size == 0:
        return matrix[:, at].astype(np.int64)
    values = np.ascontiguousarray(matrix[:, at : at + size]).view(f">u{size}").ravel().astype(np.uint64)
    is_good &= (values >= _UINT_MIN[size]) & (values < SMALL_MAX)
    return np.minimum(values, np.uint64(SMALL_MAX)).astype(np.int64)
