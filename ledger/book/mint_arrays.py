"""Mint leaves by the hundred thousand: columns in, and the very bytes that `mint.Mint.encode` writes one by one.

A leaf becomes a row of a byte matrix, framed as in a bundle. Integers have a slot as wide as the widest of their
column; a mask strikes out the bytes that a shorter one leaves unused, and what remains, row after row, is the log:

    00 LL  8c 01 05  50 nonce  50 account  source  start  end  energy  amount  association  lines  58 20 root

`parse` goes the other way: it reads the columns where they must stand, each integer in its shortest form, so that a
spelling which `mint.parse` refuses is refused here too.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from commonwatt import cbor
from commonwatt.identity import ID_SIZE
from commonwatt.units import INT64_MAX
from ledger.book import columns
from ledger.book.columns import Integers, Octets, Truths
from ledger.book.fields import HASH_SIZE
from ledger.book.kinds import Kind
from ledger.book.mint import SOURCE_LAST, SOURCE_PRODUCTION, VERSION, Mint

_FRAME = 2
_HEAD = bytes([0x8C, VERSION, Kind.MINT])
_OCTETS_16 = 0x50
_OCTETS_32 = b"\x58\x20"
_SIZE_MIN = len(_HEAD) + 2 * (1 + ID_SIZE) + 1 + 6 + len(_OCTETS_32) + HASH_SIZE
_LIMITS = np.array([23, 2**8 - 1, 2**16 - 1, 2**32 - 1], dtype=np.int64)
_WIDTH_BY_CLASS = np.array([0, *columns.WIDTHS], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class MintArrays:
    """Leaves of one window, one row each.

    `nonces` (n, 16) and `lines_roots` (n, 32) are bytes, `account_ids` (n, 16) too; the other columns are int64.
    """

    nonces: Octets
    account_ids: Octets
    sources: Integers
    energy_wh: Integers
    amount_mc: Integers
    association_mc: Integers
    lines: Integers
    lines_roots: Octets
    window_start_s: int
    window_end_s: int

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def has_its_columns(self) -> bool:
        """Whether every column has its type and length: no fraction is cut off and no row left out by taking them."""
        columns = (self.sources, self.energy_wh, self.amount_mc, self.association_mc, self.lines)
        octets = ((self.nonces, ID_SIZE), (self.account_ids, ID_SIZE), (self.lines_roots, HASH_SIZE))
        return all(column.dtype == np.int64 and column.shape == (len(self),) for column in columns) and all(
            rows.dtype == np.uint8 and rows.shape == (len(self), size) for rows, size in octets
        )

    @property
    def is_well_formed(self) -> bool:
        """Whether every row is a leaf that `mint.parse` would read, and every column has its type and length."""
        columns = (self.sources, self.energy_wh, self.amount_mc, self.association_mc, self.lines)
        return (
            self.has_its_columns
            and len(self) > 0
            and all(int(column.min()) >= 0 for column in columns)
            and SOURCE_PRODUCTION <= int(self.sources.min()) <= int(self.sources.max()) <= SOURCE_LAST
            and type(self.window_start_s) is type(self.window_end_s) is int
            and 0 <= self.window_start_s < self.window_end_s <= INT64_MAX
        )

    def account_names(self) -> list[bytes]:
        """The account of each row."""
        return columns.byte_strings(self.account_ids)

    def leaf(self, row: int) -> Mint:
        """One row as the record that the plain path reads."""
        return Mint(
            self.nonces[row].tobytes(),
            self.account_ids[row].tobytes(),
            int(self.sources[row]),
            self.window_start_s,
            self.window_end_s,
            int(self.energy_wh[row]),
            int(self.amount_mc[row]),
            int(self.association_mc[row]),
            int(self.lines[row]),
            self.lines_roots[row].tobytes(),
        )

    def slice(self, first: int, end: int) -> "MintArrays":
        """The rows from `first` up to `end`, or to the last."""
        return self.kept(np.arange(first, min(end, len(self))))

    def kept(self, is_kept: Truths | Integers) -> "MintArrays":
        """Some rows alone: where this is true, or those with these numbers."""
        return replace(
            self,
            nonces=self.nonces[is_kept],
            account_ids=self.account_ids[is_kept],
            sources=self.sources[is_kept],
            energy_wh=self.energy_wh[is_kept],
            amount_mc=self.amount_mc[is_kept],
            association_mc=self.association_mc[is_kept],
            lines=self.lines[is_kept],
            lines_roots=self.lines_roots[is_kept],
        )

    def encode(self) -> "Framed":
        """Every leaf as logged; the arrays must be well formed."""
        count = len(self)
        window = cbor.encode(self.window_start_s) + cbor.encode(self.window_end_s)
        slots = [slot(column) for column in (self.energy_wh, self.amount_mc, self.association_mc, self.lines)]
        parts = [
            _repeated(bytes(_FRAME) + _HEAD + bytes([_OCTETS_16]), count),
            self.nonces,
            _repeated(bytes([_OCTETS_16]), count),
            self.account_ids,
            self.sources.astype(np.uint8)[:, None],
            _repeated(window, count),
            *(octets for octets, _used in slots),
            _repeated(_OCTETS_32, count),
            self.lines_roots,
        ]
        rows = np.concatenate(parts, axis=1)
        used = np.ones(rows.shape, dtype=np.bool_)
        at = sum(part.shape[1] for part in parts[:6])
        for octets, is_used in slots:
            used[:, at : at + octets.shape[1]] = is_used
            at += octets.shape[1]
        sizes = used.sum(axis=1)
        rows[:, 1] = sizes - _FRAME
        framed = rows[used].tobytes()
        used[:, 1] = False  # a leaf is hashed after a zero byte: the frame without its second byte
        return Framed(framed, _starts(sizes), rows[used].tobytes())


@dataclass(slots=True)
class Framed:
    """Entries one after another as in a bundle. `starts[i]`: where the frame of leaf i begins; one more at the end.

    `hashed`: the leaves, each after the zero byte that RFC 6962 hashes before it.
    """

    framed: bytes
    starts: list[int]
    hashed: bytes

    def __len__(self) -> int:
        return len(self.starts) - 1

    def leaf(self, row: int) -> bytes:
        """One leaf as logged."""
        return self.framed[self.starts[row] + _FRAME : self.starts[row + 1]]

    def append(self, entry: bytes) -> None:
        """Add the entry that follows the leaves."""
        self.framed += len(entry).to_bytes(_FRAME, "big") + entry
        self.starts.append(len(self.framed))

    def leaf_hashes(self) -> list[bytes]:
        """The hash of every leaf in the tree."""
        sha256, data = hashlib.sha256, self.hashed
        begins = (np.array(self.starts) - np.arange(len(self.starts))).tolist()  # each frame is one byte shorter
        return [sha256(data[start:end]).digest() for start, end in pairwise(begins)]


def draw_nonces(count: int) -> Octets:
    """Fresh nonces for as many leaves."""
    return np.frombuffer(secrets.token_bytes(ID_SIZE * count), dtype=np.uint8).reshape(count, ID_SIZE)


def octets(items: Iterable[bytes], size: int) -> Octets:
    """Rows of `size` bytes from byte strings of that size."""
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(-1, size)


def from_leaves(leaves: Sequence[Mint]) -> MintArrays:
    """The columns of well-formed leaves of one window."""

    def column(name: str) -> Integers:
        return np.array([getattr(leaf, name) for leaf in leaves], dtype=np.int64)

    return MintArrays(
        nonces=octets((leaf.nonce for leaf in leaves), ID_SIZE),
        account_ids=octets((leaf.account for leaf in leaves), ID_SIZE),
        sources=column("source"),
        energy_wh=column("energy_wh"),
        amount_mc=column("amount_mc"),
        association_mc=column("association_mc"),
        lines=column("lines"),
        lines_roots=octets((leaf.lines_root for leaf in leaves), HASH_SIZE),
        window_start_s=leaves[0].window_start_s,
        window_end_s=leaves[0].window_end_s,
    )


def parse(entries: Sequence[bytes]) -> MintArrays | None:
    """The columns of leaves of one window as logged; None where any of them is not what `encode` writes."""
    sizes = np.fromiter(map(len, entries), dtype=np.int64, count=len(entries))
    if len(entries) == 0 or int(sizes.min()) < _SIZE_MIN:
        return None
    # No leaf is so short that what follows looks past its end by more than this before the sizes are compared.
    buffer = np.frombuffer(b"".join(entries) + bytes(64), dtype=np.uint8)
    begins = np.cumsum(sizes) - sizes
    nonce_at = begins + len(_HEAD) + 1
    account_at = nonce_at + ID_SIZE + 1
    sources = buffer[account_at + ID_SIZE].astype(np.int64)
    at = account_at + ID_SIZE + 1
    is_good = columns.has(buffer, begins, _HEAD + bytes([_OCTETS_16])) & (buffer[account_at - 1] == _OCTETS_16)
    integers: list[Integers] = []
    for _ in range(6):
        values, widths, is_well_spelled = columns.uints(buffer, at)
        if not is_well_spelled.all():
            return None
        integers.append(values)
        at = at + widths
    start_s, end_s = int(integers[0][0]), int(integers[1][0])
    is_good &= (integers[0] == start_s) & (integers[1] == end_s)
    is_good &= at + len(_OCTETS_32) + HASH_SIZE == begins + sizes
    if not is_good.all() or not columns.has(buffer, at, _OCTETS_32).all():
        return None
    nonces, accounts = (columns.gather(buffer, place, ID_SIZE) for place in (nonce_at, account_at))
    roots = columns.gather(buffer, at + len(_OCTETS_32), HASH_SIZE)
    energy_wh, amount_mc, association_mc, lines = integers[2:]
    arrays = MintArrays(nonces, accounts, sources, energy_wh, amount_mc, association_mc, lines, roots, start_s, end_s)
    return arrays if arrays.is_well_formed else None


def slot(values: Integers) -> tuple[Octets, Truths]:
    """Each value's head byte and big-endian bytes in a slot for the widest, and which of them are used."""
    sizes = np.searchsorted(_LIMITS, values)
    widest = int(_WIDTH_BY_CLASS[int(sizes.max())])
    widths = _WIDTH_BY_CLASS[sizes]
    slot = np.empty((len(values), 1 + widest), dtype=np.uint8)
    slot[:, 0] = np.where(sizes == 0, values, 23 + sizes)
    slot[:, 1:] = values.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 8 - widest :]
    used = np.empty(slot.shape, dtype=np.bool_)
    used[:, 0] = True
    used[:, 1:] = np.arange(widest) >= widest - widths[:, None]
    return slot, used


def _repeated(data: bytes, count: int) -> Octets:
    """The same bytes in every row."""
    row = np.frombuffer(data, dtype=np.uint8)
    rows: Octets = np.broadcast_to(row, (count, len(data)))
    return rows


def _starts(sizes: Integers) -> list[int]:
    starts: list[int] = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    return starts
