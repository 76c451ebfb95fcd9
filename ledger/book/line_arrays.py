"""The lines behind mints by the hundred thousand: columns in, the roots that mint.lines_root gives of each mint's.

A line becomes a row of a byte matrix with a slot for each integer, as a leaf does in mint_arrays.py.
"""

import hashlib
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from ledger.book.columns import Integers, Octets, Truths
from ledger.book.mint import Line
from ledger.book.mint_arrays import slot
from ledger.log import merkle

_LEAF = b"\x00"
_HEAD = bytes([0x88])
_OCTETS_16 = b"\x50"
_OCTETS_32 = b"\x58\x20"
_NEGATIVE = 0x20
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class LineArrays:
    """Lines, one row each: `salts` and `devices` (n, 16), `block_sha256s` (n, 32) are bytes, the others int64. Times
    in civil seconds, energies in Wh, amounts in milli-credits before the association's share; less than nothing in a
    revision that takes something back."""

    salts: Octets
    devices: Octets
    starts_s: Integers
    ends_s: Integers
    revisions: Integers
    energy_wh: Integers
    amount_mc: Integers
    block_sha256s: Octets

    def __len__(self) -> int:
        return len(self.starts_s)

    def line(self, row: int) -> Line:
        """One row as the record that proofs are made of."""
        return Line(
            self.salts[row].tobytes(),
            self.devices[row].tobytes(),
            int(self.starts_s[row]),
            int(self.ends_s[row]),
            int(self.revisions[row]),
            int(self.energy_wh[row]),
            int(self.amount_mc[row]),
            self.block_sha256s[row].tobytes(),
        )

    def leaf_hashes(self) -> list[bytes]:
        """The hash of every line as a leaf of its mint's tree."""
        some = (self._slice(first, first + _ROWS_AT_ONCE) for first in range(0, len(self), _ROWS_AT_ONCE))
        return [leaf_hash for lines in some for leaf_hash in lines._hash()]

    def _slice(self, first: int, end: int) -> "LineArrays":
        return LineArrays(*(getattr(self, field.name)[first:end] for field in fields(self)))

    def _hash(self) -> list[bytes]:
        slots = [slot(column) for column in (self.starts_s, self.ends_s, self.revisions)]
        slots += [_signed(column) for column in (self.energy_wh, self.amount_mc)]
        count = len(self)
        parts = [
            _repeated(_LEAF + _HEAD + _OCTETS_16, count),
            self.salts,
            _repeated(_OCTETS_16, count),
            self.devices,
            *(octets for octets, _used in slots),
            _repeated(_OCTETS_32, count),
            self.block_sha256s,
        ]
        rows = np.concatenate(parts, axis=1)
        used = np.ones(rows.shape, dtype=np.bool_)
        at = sum(part.shape[1] for part in parts[:4])
        for octets, is_used in slots:
            used[:, at : at + octets.shape[1]] = is_used
            at += octets.shape[1]
        data = rows[used].tobytes()
        ends = np.cumsum(used.sum(axis=1)).tolist()
        sha256 = hashlib.sha256
        return [sha256(data[start:end]).digest() for start, end in pairwise([0, *ends])]

    def roots(self, firsts: Integers) -> Octets:
        """The RFC 6962 root (n, 32) over the lines of each mint: those from `firsts[i]` up to `firsts[i + 1]`."""
        hashes = self.leaf_hashes()
        roots = [merkle.root(hashes[first:end]) for first, end in pairwise(firsts.tolist())]
        return np.frombuffer(b"".join(roots), dtype=np.uint8).reshape(-1, merkle.HASH_SIZE)


def _signed(values: Integers) -> tuple[Octets, Truths]:
    """`slot` for values that may be negative: CBOR writes −1 − value then, with another major type."""
    is_negative = values < 0
    octets, used = slot(np.where(is_negative, -1 - values, values))
    octets[is_negative, 0] |= _NEGATIVE
    return octets, used


def _repeated(data: bytes, count: int) -> Octets:
    """The same bytes in every row."""
    rows: Octets = np.broadcast_to(np.frombuffer(data, dtype=np.uint8), (count, len(data)))
    return rows
