"""Signed entries that are read together: the usual transfers among them in columns, the others one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonwatt.errors import FormatError
from commonwatt.identity import KEY_SIZE
from ledger.book import entry, transfer_arrays
from ledger.book.columns import Integers, Octets, Truths
from ledger.book.entry import SignedEntry
from ledger.book.mint import LEAF_HEAD
from ledger.book.transfer_arrays import TransferArrays


@dataclass(slots=True)
class Batch:
    """`entries` as logged; empty ones and mint leaves may be among them. `others`: the signed ones that are no usual
    transfer, by row, as far as they can be read. `keys`: for each row the key whose signature another process has
    verified (signatures.py), where `is_proven`.
    """

    entries: Sequence[bytes]
    transfers: TransferArrays
    others: dict[int, SignedEntry]
    keys: Octets
    is_proven: Truths

    def signed(self, row: int, genesis: bytes) -> SignedEntry | None:
        """The entry of a row with what is proven of it; None if it is nothing that is signed."""
        signed = self.others.get(row) or _parsed(self.entries[row])
        if signed is not None and self.is_proven[row]:
            signed.proven_by.append((self.keys[row].tobytes(), genesis))
        return signed

    def prove(self, rows: Integers, keys: Octets) -> None:
        """Each of these rows is signed by its key."""
        self.keys[rows] = keys
        self.is_proven[rows] = True

    def ids(self) -> list[bytes]:
        """The ids of all that could be read."""
        return self.transfers.ids + [signed.entry.id for signed in self.others.values()]


def read(entries: Sequence[bytes]) -> Batch:
    """Read entries as logged, as far as that is possible without a state."""
    return _read(entries, transfer_arrays.parse(entries))


def read_each(entries: Sequence[bytes]) -> Batch:
    """The same without columns: sooner when there are few entries."""
    return _read(entries, transfer_arrays.NONE)


def _read(entries: Sequence[bytes], transfers: TransferArrays) -> Batch:
    rows = [row for row, data in enumerate(entries) if data and data[0] != LEAF_HEAD[0]]
    usual = set(transfers.rows.tolist())
    parsed = ((row, _parsed(entries[row])) for row in rows if row not in usual)
    others = {row: signed for row, signed in parsed if signed is not None}
    count = len(entries)
    return Batch(entries, transfers, others, np.zeros((count, KEY_SIZE), np.uint8), np.zeros(count, np.bool_))


def _parsed(data: bytes) -> SignedEntry | None:
    try:
        signed = entry.parse(data)
    except FormatError:
        return None  # whoever applies it will say why
    return signed if isinstance(signed, SignedEntry) else None
