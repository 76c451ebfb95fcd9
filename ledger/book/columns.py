"""Reads many entries at once: the same field of each, from where it stands in it, as one column (numpy)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Octets = NDArray[np.uint8]
Truths = NDArray[np.bool_]

WIDTHS = (1, 2, 4, 8)
"""Bytes that may follow the head byte of an unsigned integer, whose low bits are then 24, 25, 26 and 27."""

_WIDTH_BY_HEAD = np.full(256, -1, dtype=np.int64)
_WIDTH_BY_HEAD[:28] = [0] * 24 + list(WIDTHS)
_LEAST_BY_HEAD = np.zeros(256, dtype=np.int64)
_LEAST_BY_HEAD[24:28] = [24, 2**8, 2**16, 2**32]


def gather(buffer: Octets, at: Integers, size: int) -> Octets:
    """`size` bytes from each place, a row each."""
    rows: Octets = np.lib.stride_tricks.sliding_window_view(buffer, size)[at]
    return rows


def has(buffer: Octets, at: Integers, octets: bytes) -> Truths:
    """Where these bytes stand at each place."""
    found: Truths = (gather(buffer, at, len(octets)) == np.frombuffer(octets, dtype=np.uint8)).all(axis=1)
    return found


def uints(buffer: Octets, at: Integers) -> tuple[Integers, Integers, Truths]:
    """The CBOR unsigned integers that begin at each place, how many bytes each has, and which are well spelled.

    Well spelled: below 2^63 and in their shortest form (RFC 8949 §4.2.1). What the others say means nothing.
    """
    heads = buffer[at]
    widths = _WIDTH_BY_HEAD[heads]
    octets_8 = gather(buffer, at + 1, 8).view(">u8").reshape(-1).astype(np.uint64)
    wide = octets_8 >> (64 - 8 * np.maximum(widths, 1)).astype(np.uint64)
    values = np.where(widths == 0, heads, wide).astype(np.int64)  # from 2^63 on they come out negative
    return values, 1 + widths, (widths >= 0) & (values >= _LEAST_BY_HEAD[heads])


def byte_strings(rows: NDArray[Any]) -> list[bytes]:
    """Each row of bytes as a byte string."""
    strings: list[bytes] = np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").ravel().tolist()
    return strings
