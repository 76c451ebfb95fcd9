"""Signed entries that are read together: the usual transfers among them in columns, the others one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt.errors import FormatError
from ledger.book import entry, transfer_arrays
from ledger.book.entry import SignedEntry
from ledger.book.mint import LEAF_HEAD
from ledger.book.transfer_arrays import TransferArrays


@dataclass(slots=True)
class Batch:
    """`entries` as logged; empty ones and mint leaves may be among them. `others`: the signed ones that are no usual
    transfer, by row, as far as they can be read. `keys`: for each row the key whose signature another process has
    verified (signatures.py), empty where none has.
    """

    entries: Sequence[bytes]
    transfers: TransferArrays
    others: dict[int, SignedEntry]
    keys: list[bytes]

    def signed(self, row: int, genesis: bytes) -> SignedEntry | None:
        """The entry of a row with what is proven of it; None if it is nothing that is signed."""
        signed = self.others.get(row) or _parsed(self.entries[row])
        if signed is not None and self.keys[row]:
            signed.proven_by.append((self.keys[row], genesis))
        return signed

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
    return Batch(entries, transfers, others, [b""] * len(entries))


def _parsed(data: bytes) -> SignedEntry | None:
    try:
        signed = entry.parse(data)
    except FormatError:
        return None  # whoever applies it will say why
    return signed if isinstance(signed, SignedEntry) else None
