"""Who may sign blocks, as columns: 77 bytes a device, shared by the processes that verify.

Large tables are mapped from files, so that a process that is handed one maps the same memory.
"""

import shutil
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonwatt.evidence_page import Integers, Octets, halves, octets
from commonwatt.identity import ID_SIZE, KEY_SIZE, key_hint
from commonwatt.registry import DeviceRecord, Status

NONE = -1
SHARED_FROM = 10_000
"""Devices from which the columns are files; fewer are copied to each process."""


class Folder:
    """A folder that is gone when nobody in this process holds it any more; who has mapped its files keeps them."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="commonwatt-keys-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


_COLUMNS = ("device", "public_key", "status", "rated_power_w", "hint", "order")


@dataclass(frozen=True, slots=True)
class Keys:
    """Devices by number, ascending by id. `device`: (n, 16); `public_key`: (n, 32); `hint`: of all keys, ascending,
    as numbers; `order`: the device of each hint. `folder`: where the columns are files, for as long as this lives."""

    device: Octets
    public_key: Octets
    status: Octets
    rated_power_w: Integers
    hint: NDArray[np.uint64]
    order: NDArray[np.uint32]
    folder: "Folder | None" = None

    @classmethod
    def of(cls, records: Iterable[DeviceRecord]) -> "Keys":
        """The keys of these devices, which are read once, in any order."""
        ids, public_keys, hints = bytearray(), bytearray(), bytearray()
        statuses, powers_w = bytearray(), array("q")
        for record in records:
            ids += record.device
            public_keys += record.public_key
            hints += key_hint(record.public_key)
            statuses.append(record.status)
            powers_w.append(record.rated_power_w)
        device = octets([bytes(ids)], ID_SIZE)
        by_id = np.lexsort(halves(device)[::-1])
        hint = np.frombuffer(hints, dtype=">u8").astype(np.uint64)[by_id]
        order = np.argsort(hint).astype(np.uint32)
        status = np.frombuffer(statuses, dtype=np.uint8)[by_id]
        power_w = np.array(powers_w, dtype=np.int64)[by_id]
        made = cls(device[by_id], octets([bytes(public_keys)], KEY_SIZE)[by_id], status, power_w, hint[order], order)
        return made if len(made) < SHARED_FROM else made.shared()

    def __len__(self) -> int:
        return len(self.status)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the same files, or gets a copy of small columns."""
        if self.folder is not None:
            return _opened, (self.folder.path,)
        return Keys, tuple(getattr(self, name) for name in _COLUMNS)

    @property
    def memory_bytes(self) -> int:
        """What the columns take, in all processes together if they are files."""
        return sum(getattr(self, name).nbytes for name in _COLUMNS)

    def find(self, kid: Octets) -> Integers:
        """The number of the device behind each hint (n, 8); NONE: nobody's. Hints are unique in a ledger."""
        if not len(self):
            return np.full(len(kid), NONE)
        wanted = np.ascontiguousarray(kid).view(">u8").ravel().astype(np.uint64)
        at = np.minimum(np.searchsorted(self.hint, wanted), len(self) - 1)
        return np.where(self.hint[at] == wanted, self.order[at].astype(np.int64), NONE)

    def number(self, device: bytes) -> int:
        """The number of one device; NONE: nobody's."""
        # numpy ignores zeros at the ends of S, of both alike: equal ids stay equal, and in their order.
        at = int(np.searchsorted(self.device.view(f"S{ID_SIZE}").ravel(), device))
        return at if at < len(self) and self.device[at].tobytes() == device else NONE

    def record(self, number: int) -> DeviceRecord:
        """One device."""
        return DeviceRecord(
            self.device[number].tobytes(),
            self.public_key[number].tobytes(),
            Status(int(self.status[number])),
            int(self.rated_power_w[number]),
        )

    def records(self) -> Iterator[DeviceRecord]:
        """Every device, ascending by id."""
        return map(self.record, range(len(self)))

    def shared(self) -> "Keys":
        """The same keys in files that every process maps."""
        folder = Folder()
        for name in _COLUMNS:
            np.save(folder.path / name, getattr(self, name))
        return _opened(folder.path, folder)


def _opened(path: Path, folder: "Folder | None" = None) -> Keys:
    columns = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in _COLUMNS}
    return Keys(**columns, folder=folder)
