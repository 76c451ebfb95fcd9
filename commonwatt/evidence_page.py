"""Pages of evidence: many blocks as columns, ordered by device and seq. Bytes: docs/spec/evidence.md.

Written by the aggregator; read by it, by proofs and by the demo's finale. Pure.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE

HASH_SIZE = 32
LEVEL = 1
"""zlib's: keys, links and signatures are random, and no level makes them shorter."""

UNPACKED_SIZE_MAX = 64 * 2**20
"""Bytes of a column unpacked: four times a page of 16,384 blocks of the largest size."""

Octets = NDArray[np.uint8]
Integers = NDArray[np.int64]

_INTEGERS = ("seq", "id", "received_s", "start_s", "end_s", "size")
_COLUMNS = ("device", "gateway", *_INTEGERS, "sha256")
_PLACE_SIZE = 2 * ID_SIZE + 8 * len(_INTEGERS)


@dataclass(frozen=True, slots=True)
class Page:
    """Blocks in columns of one length n. `device`, `gateway`: (n, 16); `sha256`: (n, 32); `id`: in the order of
    commits; times are civil seconds; `size`: bytes of each block in `signed`, 0 for one that was deleted."""

    device: Octets
    gateway: Octets
    seq: Integers
    id: Integers
    received_s: Integers
    start_s: Integers
    end_s: Integers
    size: Integers
    sha256: Octets
    signed: bytes

    def __len__(self) -> int:
        return len(self.seq)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Every column but the blocks themselves, by name."""
        return {name: getattr(self, name) for name in _COLUMNS}

    def blocks(self) -> list[bytes]:
        """Each block as received, in order; empty where it was deleted."""
        ends = np.cumsum(self.size).tolist()
        return [self.signed[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def take(self, rows: NDArray[Any]) -> "Page":
        """These rows (numbers or a mask) in their order."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        blocks = self.blocks()
        columns: dict[str, Any] = {name: column[rows] for name, column in self.columns().items()}
        return Page(**columns, signed=b"".join([blocks[at] for at in rows.tolist()]))

    def ordered(self) -> "Page":
        """The same blocks by device and seq."""
        high, low = halves(self.device)
        return self.take(np.lexsort((self.seq, low, high)))

    def without_blocks(self, rows: NDArray[Any]) -> "Page":
        """What is left when the blocks of these rows are deleted: who, when, and the hash."""
        size = self.size.copy()
        size[rows] = 0
        blocks = self.blocks()
        kept = b"".join([blocks[at] for at in np.flatnonzero(size).tolist()])
        return replace(self, size=size, signed=kept)

    def rows_of(self, devices: Octets) -> NDArray[np.int64]:
        """The rows of these devices, ascending; the page must be ordered."""
        keys, wanted = _texts(self.device), np.unique(_texts(devices))
        starts, ends = np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, side="right")
        found = [np.arange(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def find(self, device: Octets, seq: Integers) -> NDArray[np.int64]:
        """The row of each block named by device and seq, -1 where there is none; the page must be ordered."""
        keys, wanted = _places(self.device, self.seq), _places(device, seq)
        at = np.minimum(np.searchsorted(keys, wanted), len(self) - 1)
        return np.where(keys[at] == wanted, at, -1)

    def encode(self) -> dict[str, Any]:
        """The page as a row of `evidence_page`, but for `page`, `day` and `level`. Rows must be ordered."""
        integers = [np.asarray(getattr(self, name), dtype="<i8").tobytes() for name in _INTEGERS]
        places = b"".join([self.device.tobytes(), self.gateway.tobytes(), *integers])
        return {
            "first_device": self.device[0].tobytes(),
            "last_device": self.device[-1].tobytes(),
            "start_s_min": int(self.start_s.min()),
            "start_s_max": int(self.start_s.max()),
            "end_s_max": int(self.end_s.max()),
            "id_min": int(self.id.min()),
            "id_max": int(self.id.max()),
            "blocks": len(self),
            "places": zlib.compress(places, LEVEL),
            "sha256": self.sha256.tobytes(),
            "signed": zlib.compress(self.signed, LEVEL),
        }


def decode(row: Mapping[str, Any]) -> Page:
    """A row of `evidence_page`; without the column `signed`, its blocks are not there either. FormatError "malformed"
    or "too-large"."""
    try:
        return _decoded(row)
    except (zlib.error, ValueError, TypeError, KeyError) as error:
        raise FormatError("malformed", f"not a page of evidence: {error}") from error


def _decoded(row: Mapping[str, Any]) -> Page:
    places = _unpacked(row["places"])
    count = len(places) // _PLACE_SIZE
    at = 2 * ID_SIZE * count
    ids = np.frombuffer(places[:at], dtype=np.uint8).reshape(2, count, ID_SIZE)
    integers = np.frombuffer(places[at:], dtype="<i8").astype(np.int64, copy=False).reshape(-1, count)
    seq, id_, received_s, start_s, end_s, size = integers
    sha256 = np.frombuffer(row["sha256"], dtype=np.uint8).reshape(count, HASH_SIZE)
    signed = row.get("signed")
    if signed is None:
        size = np.zeros(count, dtype=np.int64)
    blocks = b"" if signed is None else _unpacked(signed)
    # In floats, which do not overflow: far from a page's size they are never equal.
    if (size < 0).any() or size.sum(dtype=np.float64) != len(blocks):
        raise ValueError("blocks of another length")
    return Page(ids[0], ids[1], seq, id_, received_s, start_s, end_s, size, sha256, blocks)


def _unpacked(data: bytes) -> bytes:
    """At most UNPACKED_SIZE_MAX: a few bytes can claim to be gigabytes."""
    packed = zlib.decompressobj()
    plain = packed.decompress(data, UNPACKED_SIZE_MAX)
    if not packed.eof:
        reason = "too-large" if packed.unconsumed_tail else "malformed"
        raise FormatError(reason, f"does not end within {UNPACKED_SIZE_MAX} bytes")
    return plain


def concatenate(pages: Sequence[Page]) -> Page:
    """The rows of pages one after another."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(page, name) for page in pages]) for name in _COLUMNS}
    return Page(**columns, signed=b"".join([page.signed for page in pages]))


def halves(ids: Octets) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """16-byte ids as two numbers each, which order as they do."""
    words = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2)
    return words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)


def _texts(rows: Octets) -> NDArray[np.bytes_]:
    """Rows of bytes as numpy compares them. It ignores zeros at their ends, in both alike: the order stays."""
    return np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").ravel()


def _places(device: Octets, seq: Integers) -> NDArray[np.bytes_]:
    return _texts(np.hstack([device, seq.astype(">u8").view(np.uint8).reshape(-1, 8)]))


def octets(names: Iterable[bytes], size: int = ID_SIZE) -> Octets:
    """Byte strings of one size as rows."""
    return np.frombuffer(b"".join(names), dtype=np.uint8).reshape(-1, size)


def names(ids: Octets) -> list[bytes]:
    """Rows as byte strings."""
    found: list[bytes] = np.ascontiguousarray(ids).view(f"V{ids.shape[1]}").ravel().tolist()
    return found
