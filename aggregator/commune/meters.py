"""The commune's meters as settlement needs them: the ledger's own columns, and what the commune knows of their sites.

A mapping that makes each `Meter` when it is asked for; 4 bytes a device beside the ledger's.
"""

from collections.abc import Iterator, Mapping, ValuesView
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregator.commune.places import Located
from aggregator.settling.interval import PERMILLE, Meter
from commonwatt.evidence_page import names, octets
from commonwatt.lookup import NONE
from ledger.book.kinds import DeviceRole, Grade
from ledger.book.subjects import Subjects, octets_of


@dataclass(frozen=True, slots=True)
class Meters(Mapping[bytes, Meter]):
    """Meters by device, ascending. By the number of a device: `unsold_permille`, and its `feeder` among `feeders`,
    the first of which is none. Devices that are admitted later are in another `Meters`."""

    subjects: Subjects
    unsold_permille: NDArray[np.uint16]
    feeder: NDArray[np.uint16]
    feeders: tuple[bytes | None, ...]

    @classmethod
    def of(cls, subjects: Subjects, sites: Mapping[bytes, Located]) -> "Meters":
        """All devices that are admitted now; `sites`: what is known of them."""
        numbers = subjects.sites.numbers(octets(sites))
        is_known = numbers != NONE
        feeders: dict[bytes | None, int] = {None: 0}
        hangs_on = [feeders.setdefault(site.feeder, len(feeders)) for site in sites.values()]
        unsold_permille = [PERMILLE - site.facts.earns_nothing_permille for site in sites.values()]
        at = subjects.devices.rows["site"]

        def by_device(otherwise: int, values: list[int]) -> NDArray[np.uint16]:
            column = np.full(len(subjects.sites), otherwise, dtype=np.uint16)
            column[numbers[is_known]] = np.array(values, dtype=np.uint16)[is_known]
            of_devices: NDArray[np.uint16] = column[at]
            return of_devices

        return cls(subjects, by_device(PERMILLE, unsold_permille), by_device(0, hangs_on), tuple(feeders))

    def __len__(self) -> int:
        return len(self.feeder)

    def __iter__(self) -> Iterator[bytes]:
        return iter(names(octets_of(self.rows, "id")[self._order()]))

    def __contains__(self, device: object) -> bool:
        return isinstance(device, bytes) and self._number(device) is not None

    def __getitem__(self, device: bytes) -> Meter:
        number = self._number(device)
        if number is None:
            raise KeyError(device)
        return self.meter(number)

    def values(self) -> ValuesView[Meter]:
        """Every meter, ascending by device; none of them is looked for."""
        return _Values(self)

    @property
    def rows(self) -> NDArray[Any]:
        """The ledger's columns of these devices, by number."""
        return self.subjects.devices.rows[: len(self)]

    def meter(self, number: int) -> Meter:
        """The meter with a number."""
        device, _key, site, rated_power_w, role, grade, _status = self.rows[number].item()
        at, _commitment, member, _status = self.subjects.sites.rows[site].item()
        account = self.subjects.accounts.rows["id"][member].tobytes()
        return Meter(
            *(device, DeviceRole(role), at, account, rated_power_w, Grade(grade)),
            unsold_permille=int(self.unsold_permille[number]),
            feeder=self.feeders[self.feeder[number]],
        )

    def on_feeder(self, feeder: bytes) -> list[bytes]:
        """The devices behind a feeder, ascending."""
        if feeder not in self.feeders:
            return []
        order = self._order()
        return names(octets_of(self.rows, "id")[order[self.feeder[order] == self.feeders.index(feeder)]])

    def _number(self, device: bytes) -> int | None:
        number = self.subjects.devices.number(device)
        return number if number is not None and number < len(self) else None

    def _order(self) -> NDArray[np.uint32]:
        order = self.subjects.devices.order
        return order[order < len(self)]


class _Values(ValuesView[Meter]):
    def __init__(self, meters: Meters) -> None:
        super().__init__(meters)
        self._meters = meters

    def __iter__(self) -> Iterator[Meter]:
        return map(self._meters.meter, self._meters._order().tolist())
