"""How much CO2 the grid emits for a kilowatt-hour: by the hour where RTE published it, else by the year. Pure.

Factors are whole micrograms of CO2 per Wh, which are milligrams per kWh; sums of energy times factor are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HOUR_S = 3600
NO_HOUR_S = -HOUR_S
"""When energy began of which the hour is not known: it takes the average factor."""
UG_PER_G = 1_000_000


@dataclass(frozen=True, slots=True)
class Average:
    """A factor of a whole year. `scope`: what is counted in it."""

    year: int
    ug_per_wh: int
    scope: str
    source: str
    licence: str


@dataclass(frozen=True, slots=True)
class Hourly:
    """Factors by the hour that begins at a time (UTC seconds)."""

    ug_per_wh: Mapping[int, int]
    scope: str
    source: str
    licence: str


@dataclass(frozen=True, slots=True)
class Factors:
    """What is known. `average`: for hours that `hourly` does not have."""

    hourly: Hourly
    average: Average


@dataclass(frozen=True, slots=True)
class Emitted:
    """CO2 of some energy, exactly, and how much of the energy had a factor of its own hour."""

    ug: int
    energy_wh: int
    hourly_wh: int
    factors: Factors = field(repr=False)

    @property
    def grams(self) -> int:
        """Rounded to the nearest gram, halves up."""
        return (2 * self.ug + UG_PER_G) // (2 * UG_PER_G)

    @property
    def mean_ug_per_wh(self) -> int | None:
        """The factor that was used on the whole, rounded; None for no energy."""
        return (2 * self.ug + self.energy_wh) // (2 * self.energy_wh) if self.energy_wh > 0 else None

    @property
    def hourly_permille(self) -> int:
        """How much of the energy had a factor of its own hour."""
        return self.hourly_wh * 1000 // self.energy_wh if self.energy_wh > 0 else 0

    @property
    def basis(self) -> str:
        """The factors' sources, those that were used."""
        named = [self.factors.hourly.source] if self.hourly_wh else []
        if self.hourly_wh < self.energy_wh or not named:
            named.append(self.factors.average.source)
        return "; ".join(named)


def emitted(energy_wh: Sequence[int] | NDArray[np.int64], starts_s: NDArray[np.int64], factors: Factors) -> Emitted:
    """CO2 of energy by interval; `starts_s`: when each begins, inside one hour."""
    energy = np.asarray(energy_wh, np.int64)
    hours = starts_s - starts_s % HOUR_S
    unique, place = np.unique(hours, return_inverse=True)
    known = [factors.hourly.ug_per_wh.get(int(hour)) for hour in unique]
    has_hour = np.array([factor is not None for factor in known], np.bool_)[place]
    values = np.array([factors.average.ug_per_wh if factor is None else factor for factor in known], np.int64)[place]
    total_ug = int(np.dot(energy, values))
    return Emitted(total_ug, int(energy.sum()), int(energy[has_hour].sum()), factors)
