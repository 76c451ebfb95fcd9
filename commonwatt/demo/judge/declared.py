"""What claims contradict: the sun above a declared roof, a contract, a home's balance, a neighbour's meter.

docs/spec/settlement.md, "Before a mint", reasons 8 to 12, once more and in the naive way: claim by claim. pvlib is a
library that both readers of the rule use; how it is used is written down in the rule.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from commonwatt.demo.judge.book import Device
from commonwatt.units import INTERVAL_S

NIGHT, ABOVE_CLEAR_SKY, ABOVE_CONTRACT, EXPORT_EXCEEDS, TWIN = 8, 9, 10, 11, 12  # reasons of a hold
DAY_S = 86_400


class Declared(NamedTuple):
    """A row of `declared`."""

    site: bytes
    from_s: int
    installed_wp: int | None
    contracted_va: int | None
    latitude: float | None
    longitude: float | None
    tilt_deg: float | None
    azimuth_deg: float | None
    storage_wh: int | None


class ClaimLike(Protocol):
    """What is looked at of a claim."""

    @property
    def device(self) -> bytes: ...
    @property
    def start_s(self) -> int: ...
    @property
    def end_s(self) -> int: ...
    @property
    def source(self) -> int: ...
    @property
    def energy_wh(self) -> int: ...


class PastLike(Protocol):
    """What is known of a device in the eight days before a closing."""

    def growth(self, at: int) -> dict[int, int] | None: ...


class Contradictions:
    """Answers for one window `(start, end)` and its claims under review."""

    def __init__(
        self,
        devices: Iterable[Device],
        pasts: Mapping[bytes, PastLike],
        declared: Iterable[Declared],
        window: tuple[int, int],
        claims: Sequence[ClaimLike],
    ) -> None:
        self._devices = {device.id: device for device in devices}
        self._pasts = pasts
        self._start_s, self._end_s = window
        self._claims = claims
        self._declared = {row.site: row for row in declared if row.from_s < self._end_s}
        self._first_s = self._end_s - 8 * DAY_S
        self._fed_too_much: dict[bytes, set[int]] = {}
        self._growths: dict[tuple[bytes, int], dict[int, int]] = {}
        self._together: dict[tuple[bytes, int, int], list[ClaimLike]] = defaultdict(list)
        self._gather(claims)
        self._twins: dict[bytes, set[int]] | None = None

    def of(self, claim: ClaimLike) -> int | None:
        """The smallest reason against a claim."""
        row = self._declared.get(self._site(claim))
        starts_s = range(claim.start_s, claim.end_s, INTERVAL_S)
        if row is not None:
            reason = self._sun(claim, row)
            if reason is not None:
                return reason
            if claim.source == 2 and any(self._is_above_contract(row, at) for at in starts_s):
                return ABOVE_CONTRACT
            if claim.source == 1 and any(at in self._feeding(row) for at in starts_s):
                return EXPORT_EXCEEDS
        return TWIN if any(at in self._alike(claim.device) for at in starts_s) else None

    def _site(self, claim: ClaimLike) -> bytes:
        return self._devices[claim.device].site

    def _meters(self, site: bytes, role: int) -> list[bytes]:
        return [device.id for device in self._devices.values() if (device.site, device.role) == (site, role)]

    def _sun(self, claim: ClaimLike, row: Declared) -> int | None:
        if claim.source != 1 or not _has_roof(row) or claim.start_s < self._first_s:
            return None
        together = self._together[self._group(claim, row)]
        spans = {(other.start_s, other.end_s) for other in together}
        ceilings = [_ceiling(row, at) for start_s, end_s in spans for at in range(start_s, end_s, INTERVAL_S)]
        most_wh = sum(wh for wh, _night in ceilings) + (row.storage_wh or 0)
        if sum(other.energy_wh for other in together) <= most_wh:
            return None
        return NIGHT if all(night for _wh, night in ceilings) else ABOVE_CLEAR_SKY

    def _group(self, claim: ClaimLike, row: Declared) -> tuple[bytes, int, int]:
        """Which claims are held against the sun together."""
        return (row.site, 0, 0) if row.storage_wh else (row.site, claim.start_s, claim.end_s)

    def _gather(self, claims: Iterable[ClaimLike]) -> None:
        for claim in claims:
            row = self._declared.get(self._site(claim))
            if row is not None and claim.source == 1 and claim.start_s >= self._first_s:
                self._together[self._group(claim, row)].append(claim)

    def _growth(self, device: bytes, at: int) -> dict[int, int]:
        if (device, at) not in self._growths:
            self._growths[device, at] = self._pasts[device].growth(at) or {}
        return self._growths[device, at]

    def _is_above_contract(self, row: Declared, at: int) -> bool:
        mains = self._meters(row.site, 1)
        drawn = self._sum(mains, 1, at)
        if row.contracted_va is None or drawn is None or not mains:
            return False
        return drawn > -(-row.contracted_va * 900 * 14 // 36_000) + len(mains)

    def _sum(self, devices: list[bytes], quantity: int, at: int) -> int | None:
        growths = [self._growth(device, at).get(quantity) for device in devices]
        known = [wh for wh in growths if wh is not None]
        return sum(known) if len(known) == len(growths) else None

    def _feeding(self, row: Declared) -> set[int]:
        """Beginnings of the intervals in which the site fed in more than it had."""
        mains, generators = self._meters(row.site, 1), self._meters(row.site, 2)
        if row.storage_wh is None or not mains or not generators:
            return set()
        if row.site not in self._fed_too_much:
            found, drained = set(), 0
            for at in range(self._first_s, self._end_s, INTERVAL_S):
                drawn, fed, made = self._sum(mains, 1, at), self._sum(mains, 2, at), self._sum(generators, 2, at)
                if drawn is None or fed is None or made is None:
                    drained = 0
                    continue
                missing = fed - made - max(15, made * 50 // 1000) - (drawn if row.storage_wh else 0)
                drained = max(0, min(drained, row.storage_wh) + missing)
                if drained > row.storage_wh:
                    found.add(at)
            self._fed_too_much[row.site] = found
        return self._fed_too_much[row.site]

    def _alike(self, device: bytes) -> set[int]:
        """Beginnings of the intervals of a device that a neighbour's meter has too."""
        if self._twins is None:
            self._twins = {}
            for end_s in range(self._start_s // 3600 * 3600 + 3600, self._end_s + 1, 3600):
                self._compare(range(end_s - 24 * INTERVAL_S, end_s, INTERVAL_S))
        return self._twins.get(device, set())

    def _compare(self, stretch: range) -> None:
        assert self._twins is not None
        seen: dict[tuple[int, ...], set[bytes]] = {}
        for device in {claim.device for claim in self._claims}:
            for steps in self._series(device, stretch):
                if len(set(steps)) >= 12:
                    seen.setdefault(steps, set()).add(device)
        for devices in seen.values():
            if len({self._devices[device].site for device in devices}) > 1:
                for device in devices:
                    self._twins.setdefault(device, set()).update(stretch)

    def _series(self, device: bytes, stretch: range) -> Iterator[tuple[int, ...]]:
        for quantity in (1, 2):
            steps = [self._growth(device, at).get(quantity) for at in stretch]
            known = tuple(step for step in steps if step is not None)
            if len(known) == len(steps):
                yield known


def _has_roof(row: Declared) -> bool:
    return None not in (row.installed_wp, row.latitude, row.longitude)


@cache
def _ceiling(row: Declared, at: int) -> tuple[int, bool]:
    """The most that a roof makes in the interval that begins then, in Wh, and whether it is night."""
    assert row.installed_wp is not None
    assert row.latitude is not None
    assert row.longitude is not None
    samples = _samples(round(row.latitude * 10), round(row.longitude * 10), at // DAY_S * DAY_S)
    first = at % DAY_S // 300
    light = [_light(row, *sample) for sample in samples[first : first + 4]]
    wh = row.installed_wp / 1000 * 1.1 * 0.25 * max(light)
    return max(2, math.ceil(round(wh, 6))), max(light) == 0


def _light(
    row: Declared, zenith: float, elevation: float, azimuth: float, every: float, direct: float, diffuse: float
) -> float:
    """On the modules, in W/m²."""
    if elevation <= -6:
        return 0.0
    if row.tilt_deg is None or row.azimuth_deg is None:
        return max(25.0, direct + diffuse)
    tilt, height = math.radians(row.tilt_deg), math.radians(90 - zenith)
    turned = math.radians(azimuth - row.azimuth_deg)
    straight = math.sin(height) * math.cos(tilt) + math.cos(height) * math.sin(tilt) * math.cos(turned)
    incidence = math.degrees(math.acos(min(1.0, max(-1.0, straight))))
    on_modules = direct * max(0.0, math.cos(math.radians(max(0.0, incidence - 20))))
    return max(25.0, on_modules + diffuse + every * 0.25 * (1 - math.cos(tilt)) / 2)


@cache
def _samples(latitude_tenths: int, longitude_tenths: int, day_s: int) -> list[tuple[float, ...]]:
    """Zenith, elevation, azimuth, global, direct and diffuse, every five minutes of a UTC day, both ends included."""
    import numpy as np
    import pandas as pd
    from pvlib import atmosphere, clearsky, irradiance, solarposition

    times = pd.to_datetime(list(range(day_s, day_s + DAY_S + 1, 300)), unit="s", utc=True)
    sun: Any = solarposition.get_solarposition(times, latitude_tenths / 10, longitude_tenths / 10)
    air_mass = atmosphere.get_absolute_airmass(atmosphere.get_relative_airmass(sun["apparent_zenith"].to_numpy()))
    above = irradiance.get_extra_radiation(times[0].day_of_year)
    with np.errstate(divide="ignore"):
        sky: Any = clearsky.ineichen(sun["apparent_zenith"].to_numpy(), air_mass, 2.0, altitude=0, dni_extra=above)
    columns = [sun["apparent_zenith"], sun["elevation"], sun["azimuth"], sky["ghi"], sky["dni"], sky["dhi"]]
    rows = zip(*columns, strict=True)
    return [tuple(0.0 if math.isnan(value) else float(value) for value in row) for row in rows]
