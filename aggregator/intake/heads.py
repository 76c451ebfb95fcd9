"""Where each device's chain stands: its highest block, kept in memory so that the usual next block asks no database.

48 bytes a device. They follow the table `chain` and are read from it at a start.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonwatt.block import LINK_SIZE
from commonwatt.identity import ID_SIZE

NONE = -1


class Head(NamedTuple):
    """The highest block of a device: its seq, and the link that the next one names. NONE: no block yet."""

    seq: int
    link: bytes


_NO_HEAD = Head(NONE, bytes(LINK_SIZE))


class Heads:
    """Heads by device, for the devices it was made for and those that come later."""

    def __init__(self, rows: Iterable[tuple[bytes, int, bytes]] = ()) -> None:
        self._fill(sorted(rows))

    def _fill(self, ordered: list[tuple[bytes, int, bytes]]) -> None:
        self._ids = b"".join(device for device, _seq, _link in ordered)
        self._first: NDArray[np.uint64] = np.frombuffer(self._ids, dtype=">u8")[::2].astype(np.uint64)
        self._seqs = np.array([seq for _device, seq, _link in ordered], dtype=np.int64)
        links = b"".join(link for _device, _seq, link in ordered)
        self._links = np.frombuffer(links, dtype=np.uint8).reshape(-1, LINK_SIZE).copy()
        self._later: dict[bytes, Head] = {}

    def __len__(self) -> int:
        return len(self._seqs) + len(self._later)

    def of(self, devices: list[bytes]) -> dict[bytes, Head]:
        """The heads of these devices."""
        found = {}
        for device, at in zip(devices, self._places(devices), strict=True):
            if at is None:
                found[device] = self._later.get(device, _NO_HEAD)
            else:
                found[device] = Head(int(self._seqs[at]), self._links[at].tobytes())
        return found

    def advance(self, heads: Mapping[bytes, Head]) -> None:
        """Replace heads; to be called when what they follow from is durable."""
        devices = list(heads)
        for device, at in zip(devices, self._places(devices), strict=True):
            if at is None:
                self._later[device] = heads[device]
            else:
                self._seqs[at] = heads[device].seq
                self._links[at] = np.frombuffer(heads[device].link, dtype=np.uint8)
        if len(self._later) > max(1024, len(self._seqs)):
            self._sort_in()

    def _places(self, devices: list[bytes]) -> list[int | None]:
        """Where each device stands in the arrays; None: nowhere. Ids are random: half of one nearly always tells."""
        wanted = np.frombuffer(b"".join(devices), dtype=">u8")[::2].astype(np.uint64)
        places: list[int | None] = []
        for device, at in zip(devices, np.searchsorted(self._first, wanted).tolist(), strict=True):
            while at < len(self._seqs) and self._id(at) < device:
                at += 1
            places.append(at if at < len(self._seqs) and self._id(at) == device else None)
        return places

    def _id(self, at: int) -> bytes:
        return self._ids[at * ID_SIZE : (at + 1) * ID_SIZE]

    def _sort_in(self) -> None:
        """Newcomers live in a dictionary until they are as many as the others."""
        rows = [(self._id(at), int(self._seqs[at]), self._links[at].tobytes()) for at in range(len(self._seqs))]
        rows += [(device, head.seq, head.link) for device, head in self._later.items()]
        self._fill(sorted(rows))
