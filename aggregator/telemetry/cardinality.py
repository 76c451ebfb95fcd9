"""How many series and points a day a commune makes: the budget that docs/spec/telemetry.md prints. Pure.

Nothing in it grows with the number of homes but places and gateways: that is the point of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from aggregator.privacy.rule import Withheld
from aggregator.telemetry.measurements import FACETS, INTERVALS_PER_DAY, MEASUREMENTS
from commonwatt.refusal import Hold, Refusal

UNITS, SOURCES, REQUESTS_PER_YEAR, EVENT_KINDS = 4, 6, 52, 5
POLICIES_PER_YEAR = 2
FIRMWARE_VERSIONS = 12
WITNESSES = 5
ASIDE_REASONS = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """A commune by what makes series. `places`: the commune itself, its quarters, feeders and transformers."""

    places: int
    gateways: int

    @classmethod
    def of_meters(cls, meters: int) -> "Shape":
        """A usual one: 50 homes on a feeder, 500 on a transformer, 250 in a quarter, a gateway a feeder."""
        feeders, transformers, quarters = (-(-meters // size) for size in (50, 500, 250))
        return cls(1 + quarters + feeders + transformers, feeders)


def series(shape: Shape) -> Mapping[str, int]:
    """Series by measurement, over a year."""
    of_tag = {"place": shape.places, "gateway": shape.gateways, "witness": WITNESSES, "unit": UNITS}
    of_tag |= {"source": SOURCES, "policy": POLICIES_PER_YEAR, "kind": EVENT_KINDS, "level": 1}
    found = {
        name: prod(of_tag.get(tag, 1) for tag in row.tags)
        for name, row in MEASUREMENTS.items()
        if not {"reason", "facet", "request"} & set(row.tags)
    }
    classes = sum(len(names) or FIRMWARE_VERSIONS for names in FACETS.values())
    reasons = {
        "held": len(Hold),
        "withheld": len(Withheld),
        "refused": len(Refusal),
        "telemetry_aside": ASIDE_REASONS,
    }
    return {**found, **reasons, "fleet": classes, "request": REQUESTS_PER_YEAR}


def points_per_day(shape: Shape) -> int:
    """Points of a usual day."""
    usual = {"request": 1, "event": 20, "mint": SOURCES * 24, "energy_15m": shape.places * (INTERVALS_PER_DAY - 4)}
    return sum(usual.get(name, count * MEASUREMENTS[name].points_per_day) for name, count in series(shape).items())
