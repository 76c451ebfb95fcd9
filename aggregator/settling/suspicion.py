"""What a window's claims contradict: the sun, a contract, the home's own balance, a neighbour's meter.

Reads the past and asks aggregator.plausibility (docs/spec/settlement.md, "Before a mint", reasons 8 to 12). Only
sites that declared something are looked at one by one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import numbers
from aggregator.plausibility import clearsky, days, site, twins
from aggregator.plausibility.declared import Declared
from aggregator.settling import history
from aggregator.settling.claim_pages import Claims
from aggregator.settling.history import Past
from aggregator.settling.interval import Meter, Source
from commonwatt.lookup import distinct
from commonwatt.page import Integers
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.refusal import Hold
from commonwatt.units import INTERVAL_S
from ledger.book.kinds import DeviceRole


class Row(NamedTuple):
    """A claim under review."""

    device: bytes
    start_s: int
    end_s: int
    source: int
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Window:
    """What is reviewed together: claims settled in `[start_s, end_s)`, and what is known of their sites."""

    connection: sa.Connection
    meters: Mapping[bytes, Meter]
    declared: Mapping[bytes, Declared]
    start_s: int
    end_s: int
    evidence_id_max: int

    @property
    def from_s(self) -> int:
        """The first moment that is looked at."""
        return self.end_s - days.LOOK_BACK_S

    def growth(self, devices: Sequence[bytes], quantity: int, from_s: int) -> NDArray[np.int64]:
        """One row a device, one column an interval from `from_s` to the window's end."""
        return history.growth(
            self.connection, devices, quantity, from_s, self.end_s, evidence_id_max=self.evidence_id_max
        )


def contradicted(window: Window, claims: Claims) -> Integers:
    """Why claims contradict what their sites declared: the smallest reason for each, 0 for none."""
    reasons = np.zeros(len(claims), dtype=np.int64)
    known = numbers.of(window.connection)
    meters = [meter for meter in window.meters.values() if meter.site in window.declared] if window.declared else []
    at = np.flatnonzero(np.isin(claims.device, known.find(numbers.octets(meter.device for meter in meters))))
    if not len(at):
        return reasons
    here = claims.where(at)
    columns = (here.start_s, here.end_s, here.source, here.energy_wh)
    rows = [Row(*row) for row in zip(known.names(here.device), *(c.tolist() for c in columns), strict=True)]
    found: dict[Row, Hold] = {}
    for check in (_against_the_sun, _against_the_home):
        for row, reason in check(window, rows):
            found[row] = min(reason, found.get(row, reason))
    reasons[at] = [found.get(row, 0) for row in rows]
    return reasons


def _against_the_sun(window: Window, rows: Sequence[Row]) -> Iterator[tuple[Row, Hold]]:
    """Generators of declared roofs against the clear sky: those of one site together, span by span; with storage,
    which may give back at night what came by day, over the whole window."""
    together: dict[tuple[bytes, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        place = window.meters[row.device].site
        declared = window.declared.get(place)
        if row.source == Source.PRODUCTION and row.start_s >= window.from_s and declared and declared.has_roof:
            span = (0, 0) if declared.storage_wh else (row.start_s, row.end_s)
            together[place, *span].append(row)
    sky = _Sky(window, sorted({place for place, *_span in together}))
    for (place, *_span), claims in together.items():
        limits_wh, nights = zip(*(sky.of(place, start_s, end_s) for _d, start_s, end_s, *_ in claims), strict=True)
        # Several generators of a site share its sky.
        spans = {(row.start_s, row.end_s): limit_wh for row, limit_wh in zip(claims, limits_wh, strict=True)}
        spare_wh = window.declared[place].storage_wh or 0
        if sum(row.energy_wh for row in claims) > sum(spans.values()) + spare_wh:
            reason = Hold.NIGHT if all(nights) else Hold.ABOVE_CLEAR_SKY
            yield from ((row, reason) for row in claims)


class _Sky:
    """Limits of the window's roofs, by days that are asked for."""

    def __init__(self, window: Window, places: Sequence[bytes]) -> None:
        self._row = {place: at for at, place in enumerate(places)}
        self._roofs = [window.declared[place] for place in places]
        self._days: dict[int, clearsky.Limits] = {}

    def of(self, place: bytes, start_s: int, end_s: int) -> tuple[int, bool]:
        """The most that a roof can make in a span, in Wh, and whether it is night all the time."""
        limit_wh, is_night = 0, True
        for day_s in range(start_s - start_s % clearsky.DAY_S, end_s, clearsky.DAY_S):
            if day_s not in self._days:
                self._days[day_s] = clearsky.limits(self._roofs, day_s)
            columns = slice(max(0, start_s - day_s) // INTERVAL_S, (end_s - day_s) // INTERVAL_S)
            limits = self._days[day_s]
            limit_wh += int(limits.ceiling_wh[self._row[place], columns].sum())
            is_night &= bool(limits.is_night[self._row[place], columns].all())
        return limit_wh, is_night


def _against_the_home(window: Window, rows: Sequence[Row]) -> Iterator[tuple[Row, Hold]]:
    """What main meters drew against the contract, and what they fed in against what the home made and stored."""
    meters_of: dict[tuple[bytes, DeviceRole], list[bytes]] = defaultdict(list)
    for meter in window.meters.values():
        meters_of[meter.site, meter.role].append(meter.device)
    of_site: dict[bytes, list[Row]] = defaultdict(list)
    for row in rows:
        of_site[window.meters[row.device].site].append(row)
    for place, claims in of_site.items():
        declared, mains = window.declared.get(place), meters_of[place, DeviceRole.MAIN]
        if declared is None or not mains:
            continue
        if declared.contracted_va is not None:
            drawn, known = _total(window, mains, IMPORT.number)
            is_above = known & (drawn > site.import_wh_max(declared.contracted_va, len(mains)))
            yield from _touched(window, claims, Source.MATCHED, is_above, Hold.ABOVE_CONTRACT)
        producers = meters_of[place, DeviceRole.PRODUCTION]
        if declared.storage_wh is not None and producers:
            exceeds = _feeds_too_much(window, mains, producers, declared.storage_wh)
            yield from _touched(window, claims, Source.PRODUCTION, exceeds, Hold.EXPORT_EXCEEDS)


def _feeds_too_much(
    window: Window, mains: Sequence[bytes], producers: Sequence[bytes], storage_wh: int
) -> NDArray[np.bool_]:
    fed, is_known = _total(window, mains, EXPORT.number)
    drawn, is_drawn_known = _total(window, mains, IMPORT.number)
    made, is_made_known = _total(window, producers, EXPORT.number)
    known = is_known & is_made_known & is_drawn_known
    return site.feeds_more_than_it_has(drawn, fed, made, known, storage_wh)


def _total(window: Window, devices: Sequence[bytes], quantity: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What these meters measured together in each interval, and whether all of them are known."""
    growth = window.growth(devices, quantity, window.from_s)
    known = (growth != history.UNKNOWN).all(axis=0)
    return np.where(known, growth.sum(axis=0), 0), known


def _touched(
    window: Window, rows: Iterable[Row], source: Source, suspicious: NDArray[np.bool_], reason: Hold
) -> Iterator[tuple[Row, Hold]]:
    """The claims of a source that touch a suspicious interval."""
    for row in rows:
        if row.source == source and suspicious[_columns(row, window.from_s)].any():
            yield row, reason


def _columns(row: Row, from_s: int) -> slice:
    """The intervals of a claim, counted from `from_s`."""
    return slice(max(0, row.start_s - from_s) // INTERVAL_S, max(0, row.end_s - from_s) // INTERVAL_S)


class Neighbours:
    """Meters of different homes that measured the same: gathered while the past is read, compared at the end."""

    def __init__(self, window: Window, sites: Integers) -> None:
        """`sites`: by a device's number."""
        self._window = window
        self._sites = sites
        self._devices: dict[int, list[Integers]] = defaultdict(list)
        self._prints: dict[int, list[NDArray[np.uint64]]] = defaultdict(list)

    def add(self, past: Past) -> None:
        """Look at some of the devices under review."""
        for quantity in (IMPORT.number, EXPORT.number):
            steps_wh = past.steps_wh(quantity)
            for end_s in twins.ends_s(self._window.start_s, self._window.end_s):
                stretch = twins.stretch(steps_wh, past.start_s, end_s)
                if stretch is not None:
                    telling, prints = twins.fingerprints(stretch)
                    self._devices[end_s].append(past.devices[telling])
                    self._prints[end_s].append(prints)

    def repeat(self, claims: Claims) -> NDArray[np.bool_]:
        """Which claims touch a stretch that a meter of another home has too."""
        found = np.zeros(len(claims), dtype=np.bool_)
        for end_s, parts in self._devices.items():
            devices, prints = np.concatenate(parts), np.concatenate(self._prints[end_s])
            suspects = distinct(devices[twins.may_be_alike(prints, self._sites[devices])])
            if len(suspects):
                start_s = end_s - twins.STRETCH * INTERVAL_S
                touches = (claims.start_s < end_s) & (claims.end_s > start_s)
                found |= touches & np.isin(claims.device, self._alike(suspects, start_s, end_s))
        return found

    def _alike(self, devices: Integers, start_s: int, end_s: int) -> Integers:
        """Those of them that are alike indeed, value by value."""
        past = history.past(
            self._window.connection, devices, start_s, end_s, evidence_id_max=self._window.evidence_id_max
        )
        both = np.concatenate([past.steps_wh(IMPORT.number), past.steps_wh(EXPORT.number)], axis=1)
        twice = np.concatenate([devices, devices])
        return distinct(twice[twins.twins(both, self._sites[twice].tolist())])
