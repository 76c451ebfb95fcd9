"""What was measured, as a closing knew it: of several readings at one time that of the smallest seq."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from commonwatt.demo.judge.book import Device
from commonwatt.demo.judge.evidence import Closing, Reading
from commonwatt.units import INTERVAL_S

MAIN, IMPORT = 1, 1


class Measured:
    """The readings of all devices by time."""

    def __init__(self, readings: Mapping[bytes, Iterable[Reading]]) -> None:
        self._at: dict[tuple[bytes, int], list[Reading]] = {}
        for device, rows in readings.items():
            for row in rows:
                self._at.setdefault((device, row.time_s), []).append(row)
        for found in self._at.values():
            found.sort(key=lambda row: row.seq)

    def reading(self, device: bytes, time_s: int, closing: Closing) -> Reading | None:
        """The reading of a device at a time, as a closing knew it."""
        rows = self._at.get((device, time_s), ())
        return next((row for row in rows if row.evidence_id <= closing.evidence_id_max), None)

    def last(self, device: bytes, time_s: int, closing: Closing) -> Reading | None:
        """The last reading of a device up to a time."""
        times_s = sorted((at for of, at in self._at if of == device and at <= time_s), reverse=True)
        return next((row for at in times_s if (row := self.reading(device, at, closing)) is not None), None)

    def used_wh(self, devices: Iterable[bytes], start_s: int, end_s: int, closing: Closing) -> int | None:
        """The import of several meters together; none if any interval of any of them is not known."""
        total_wh = 0
        for device in devices:
            for at in range(start_s, end_s, INTERVAL_S):
                before, after = (self.reading(device, time_s, closing) for time_s in (at, at + INTERVAL_S))
                if before is None or after is None:
                    return None
                if IMPORT not in before.registers_wh or IMPORT not in after.registers_wh:
                    return None
                total_wh += after.registers_wh[IMPORT] - before.registers_wh[IMPORT]
        return total_wh


@dataclass(frozen=True, slots=True)
class Site:
    """A site with main meters, ascending, the account that holds it, and the feeder it hangs on, if it is known."""

    id: bytes
    mains: tuple[Device, ...]
    account: bytes
    feeder: bytes | None

    @property
    def devices(self) -> tuple[bytes, ...]:
        """The ids of its main meters."""
        return tuple(device.id for device in self.mains)


def sites_of(
    devices: Iterable[Device], members: Mapping[bytes, bytes], feeders: Mapping[bytes, bytes], closing: Closing
) -> list[Site]:
    """The sites that a closing knew, ascending."""
    mains: dict[bytes, list[Device]] = {}
    for device in sorted(devices, key=lambda device: device.id):
        if device.role == MAIN and device.index < closing.log_size:
            mains.setdefault(device.site, []).append(device)
    return [Site(site, tuple(mains[site]), members[site], feeders.get(site)) for site in sorted(mains)]
