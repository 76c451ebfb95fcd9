"""What a home or a commune drew, fed in, made and used, by quarter of an hour; rates and peaks of it. Pure.

consumption = import + production − export; self-consumed = production − export. A site without a meter at its
generator is taken to produce what it exports, as in statistics (aggregator/privacy).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonwatt.units import INTERVAL_S

PER_HOUR = 3600 // INTERVAL_S
Energies = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Balance:
    """Wh by interval; where `known` is false the energies are 0. `starts_s`: when each interval begins (UTC)."""

    starts_s: NDArray[np.int64]
    import_wh: Energies
    export_wh: Energies
    production_wh: Energies
    known: NDArray[np.bool_]

    @property
    def consumption_wh(self) -> Energies:
        """What was used, whoever made it."""
        return self.import_wh + self.self_consumed_wh

    @property
    def self_consumed_wh(self) -> Energies:
        """What was made and used in the same home."""
        return self.production_wh - self.export_wh

    @property
    def local_wh(self) -> Energies:
        """The same, never below nothing: clocks of two meters differ by a second or two."""
        used: Energies = np.clip(self.self_consumed_wh, 0, None)
        return used

    @property
    def known_permille(self) -> int:
        """How much of the time was measured."""
        return int(self.known.sum()) * 1000 // len(self.known) if len(self.known) else 0

    @property
    def self_consumption_permille(self) -> int | None:
        """How much of what was made was used here; None if nothing was made."""
        return _permille(int(self.local_wh.sum()), int(self.production_wh.sum()))

    @property
    def self_sufficiency_permille(self) -> int | None:
        """How much of what was used was made here; None if nothing was used."""
        return _permille(int(self.local_wh.sum()), int(self.consumption_wh.sum()))

    def peak(self, energies_wh: Energies) -> tuple[int, int] | None:
        """The largest mean power of an interval in W, and when it first was so; None if nothing is known."""
        if not self.known.any():
            return None
        at = int(np.argmax(np.where(self.known, energies_wh, -1)))
        return int(energies_wh[at]) * PER_HOUR, int(self.starts_s[at])


def _permille(part: int, whole: int) -> int | None:
    return min(1000, (2000 * part + whole) // (2 * whole)) if whole > 0 else None


def of_site(
    starts_s: NDArray[np.int64], mains: tuple[Energies, Energies], generators: Energies | None, unknown: int
) -> Balance:
    """From growth matrices, a row a meter: import and export of the main meters, export of the generators' (None:
    there are none). Several sites with as many meters each go at once: (meters, sites, intervals)."""
    imports, exports = mains
    # A meter that never counts what leaves has no such register.
    exports = np.where(
        (exports == unknown).all(axis=-1, keepdims=True), np.where(imports == unknown, unknown, 0), exports
    )
    drawn, is_drawn = _together(imports, unknown)
    fed, is_fed = _together(exports, unknown)
    made, is_made = (fed, is_fed) if generators is None else _together(generators, unknown)
    known = is_drawn & is_fed & is_made
    drawn, fed, made = (np.where(known, part, 0) for part in (drawn, fed, made))
    return Balance(starts_s, drawn, fed, made, known)


def _together(growth: Energies, unknown: int) -> tuple[Energies, NDArray[np.bool_]]:
    """Meters that stand side by side, or one after the other where one was replaced: before its first and after its
    last interval a meter counts nothing, as long as another one does."""
    is_known = (growth != unknown) & (growth >= 0)
    has_begun = np.logical_or.accumulate(is_known, axis=-1)
    goes_on = np.logical_or.accumulate(is_known[..., ::-1], axis=-1)[..., ::-1]
    known = is_known.any(axis=0) & (is_known | ~(has_begun & goes_on)).all(axis=0)
    return np.where(is_known, growth, 0).sum(axis=0), known
