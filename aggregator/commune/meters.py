"""The commune's meters as settlement needs them, as columns: a mapping that makes each `Meter` when it is asked for.

About 20 bytes a device, and 16 for each site and each account; ids are those of `Keys`.
"""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.intake.keys import NONE, Keys
from aggregator.settling.interval import Meter
from commonwatt.evidence_page import names
from ledger.book.admissions import DeviceAccount
from ledger.book.kinds import DeviceRole, Grade


@dataclass(frozen=True, slots=True)
class Meters(Mapping[bytes, Meter]):
    """Meters by device. The columns are in the order of `known`; `sites` and `accounts` are ids one after another."""

    known: Keys
    role: NDArray[np.uint8]
    grade: NDArray[np.uint8]
    unsold_permille: NDArray[np.uint16]
    site: NDArray[np.uint32]
    account: NDArray[np.uint32]
    feeder: NDArray[np.uint16]
    sites: bytes
    accounts: bytes
    feeders: tuple[bytes | None, ...]

    def __len__(self) -> int:
        return len(self.known)

    def __iter__(self) -> Iterator[bytes]:
        return iter(names(self.known.device))

    def __contains__(self, device: object) -> bool:
        return isinstance(device, bytes) and self.known.number(device) != NONE

    def __getitem__(self, device: bytes) -> Meter:
        at = self.known.number(device)
        if at == NONE:
            raise KeyError(device)
        return Meter(
            *(device, DeviceRole(int(self.role[at])), _id(self.sites, self.site[at])),
            *(_id(self.accounts, self.account[at]), int(self.known.rated_power_w[at]), Grade(int(self.grade[at]))),
            unsold_permille=int(self.unsold_permille[at]),
            feeder=self.feeders[self.feeder[at]],
        )

    @property
    def memory_bytes(self) -> int:
        """What the columns take beside `keys`."""
        columns = (self.role, self.grade, self.unsold_permille, self.site, self.account, self.feeder)
        return sum(column.nbytes for column in columns) + len(self.sites) + len(self.accounts)


class MeterColumns:
    """Takes devices one after another, ascending by id, and becomes their meters."""

    def __init__(self) -> None:
        self._role, self._grade, self._unsold_permille = bytearray(), bytearray(), array("H")
        self._site, self._account = array("I"), array("I")
        self._sites: dict[bytes, int] = {}
        self._accounts: dict[bytes, int] = {}
        self._feeder, self._feeders = array("H"), dict[bytes | None, int]()

    def add(self, row: DeviceAccount, unsold_permille: int, feeder: bytes | None) -> None:
        """One more device, and which feeder its site hangs on; none: not known."""
        self._feeder.append(self._feeders.setdefault(feeder, len(self._feeders)))
        self._role.append(row.role)
        self._grade.append(row.grade)
        self._unsold_permille.append(unsold_permille)
        self._site.append(self._sites.setdefault(row.site, len(self._sites)))
        self._account.append(self._accounts.setdefault(row.account, len(self._accounts)))

    def of(self, keys: Keys) -> Meters:
        """The meters of all that were added; `keys` are theirs."""
        assert len(keys) == len(self._role)
        return Meters(
            keys,
            role=np.frombuffer(self._role, dtype=np.uint8),
            grade=np.frombuffer(self._grade, dtype=np.uint8),
            unsold_permille=np.frombuffer(self._unsold_permille, dtype=np.uint16),
            site=np.frombuffer(self._site, dtype=np.uint32),
            account=np.frombuffer(self._account, dtype=np.uint32),
            feeder=np.frombuffer(self._feeder, dtype=np.uint16),
            sites=b"".join(self._sites),
            accounts=b"".join(self._accounts),
            feeders=tuple(self._feeders),
        )


def _id(ids: bytes, number: np.uint32) -> bytes:
    return ids[16 * int(number) : 16 * int(number) + 16]
