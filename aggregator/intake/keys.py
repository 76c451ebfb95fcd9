"""Who may sign blocks: the ledger's own columns of devices (ledger/book/subjects.py), and one byte a device of ours.

A process that verifies beside this one is handed the few keys that its blocks name, so it knows nothing of who was
admitted, and a registry that changes is nobody's concern but this one's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonwatt import cose
from commonwatt.evidence_page import Integers, Octets
from commonwatt.identity import HINT_SIZE
from commonwatt.registry import DeviceRecord, Status
from ledger.book.subjects import Subjects, octets_of

NONE = -1
HINT_END = len(cose.HEAD) + HINT_SIZE
"""Where the hint of the signer's key ends, in whatever is a block."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Devices by number. `device`: (n, 16); `public_key`: (n, 32); `status`: the worse of the device's and its
    site's; `hint`: of every key there ever was, ascending, as numbers; `holder`: the device of each, n or more where
    it is no device."""

    device: Octets
    public_key: Octets
    status: Octets
    rated_power_w: NDArray[np.uint32]
    hint: NDArray[np.uint64]
    holder: NDArray[np.uint32]

    @classmethod
    def of(cls, subjects: Subjects) -> "Keys":
        """Those of everything that is admitted now."""
        rows = subjects.devices.rows
        status = np.maximum(rows["status"], subjects.sites.rows["status"][rows["site"]])
        columns = octets_of(rows, "id"), octets_of(rows, "public_key"), status, rows["rated_power_w"]
        return cls(*columns, *subjects.hints.columns())

    def __len__(self) -> int:
        return len(self.status)

    def find(self, kid: Octets) -> Integers:
        """The number of the device behind each hint (n, 8); NONE: nobody's. Hints are unique in a ledger."""
        if not len(self.hint):
            return np.full(len(kid), NONE)
        wanted = np.ascontiguousarray(kid).view(">u8").ravel().astype(np.uint64)
        at = np.minimum(np.searchsorted(self.hint, wanted), len(self.hint) - 1)
        holder = self.holder[at].astype(np.int64)
        return np.where((self.hint[at] == wanted) & (holder < len(self)), holder, NONE)

    def of_blocks(self, blocks: Sequence[bytes]) -> "Keys":
        """The keys that these blocks name."""
        hints = b"".join([block[len(cose.HEAD) : HINT_END] for block in blocks if len(block) >= HINT_END])
        hint = np.sort(np.frombuffer(hints, dtype=">u8").astype(np.uint64))
        numbers = self.find(hint.astype(">u8").view(np.uint8).reshape(-1, HINT_SIZE))
        is_known = numbers != NONE
        rows = numbers[is_known]
        columns = self.device[rows], self.public_key[rows], self.status[rows], self.rated_power_w[rows]
        return Keys(*columns, hint[is_known], np.arange(len(rows), dtype=np.uint32))

    def record(self, number: int) -> DeviceRecord:
        """One device."""
        return DeviceRecord(
            self.device[number].tobytes(),
            self.public_key[number].tobytes(),
            Status(int(self.status[number])),
            int(self.rated_power_w[number]),
        )

    def records(self) -> Iterator[DeviceRecord]:
        """Every device."""
        return map(self.record, range(len(self)))
