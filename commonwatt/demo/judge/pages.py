"""The table `evidence_page`, read from docs/spec/evidence.md: many blocks a row."""

import sqlite3
import struct
import zlib
from itertools import accumulate, pairwise

Row = tuple[int, bytes, int, bytes, int, bytes]
"""id, device, seq, sha256, received_s, signed; `signed` is empty if the block was deleted."""

PLACE_SIZE = 16 + 16 + 6 * 8
"""Device, gateway; seq, id, received_s, start_s, end_s, size."""


def read_blocks(database: sqlite3.Connection) -> list[Row]:
    """Every block, by device and seq."""
    pages = database.execute("SELECT places, sha256, signed FROM evidence_page").fetchall()
    rows = [row for page in pages for row in _read_page(*page)]
    return sorted(rows, key=lambda row: (row[1], row[2]))


def _read_page(places: bytes, sha256: bytes, signed: bytes | None) -> list[Row]:
    columns = zlib.decompress(places)
    count = len(columns) // PLACE_SIZE
    devices = _split(columns[: 16 * count], 16)
    numbers = struct.unpack(f"<{6 * count}q", columns[32 * count :])
    seq, ids, received_s, _start_s, _end_s, size = (numbers[at * count : (at + 1) * count] for at in range(6))
    data = zlib.decompress(signed) if signed is not None else b""
    ends = accumulate(size if signed is not None else [0] * count, initial=0)
    blocks = [data[start:end] for start, end in pairwise(ends)]
    return list(zip(ids, devices, seq, _split(sha256, 32), received_s, blocks, strict=True))


def _split(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
