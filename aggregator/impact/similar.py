"""Homes that a home may be compared with: heated alike, of like size, with a roof or without. Pure.

Never fewer than ten others, and none of them dominates (aggregator/privacy/rule.py): nobody learns a neighbour's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from aggregator.privacy.rule import SITES_MIN

RATIOS = (1.5, 2.0, 3.0)
"""How many times larger or smaller a similar home may be; the narrowest that leaves enough homes."""


class Alone(Enum):
    """Why a home is compared with nobody."""

    SIZE_UNKNOWN = "size-unknown"
    TOO_FEW_SITES = "too-few-sites"


@dataclass(frozen=True, slots=True)
class Home:
    """What makes homes alike. `yearly_wh`: of consumption, from what was measured; None: too little was."""

    site: bytes
    yearly_wh: int | None
    heating: str | None
    has_roof: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Similar homes, and how they were chosen. `ratio`: of sizes; `heating`: None if this home's is not known."""

    sites: frozenset[bytes]
    ratio: float
    heating: str | None
    has_roof: bool


def group(home: Home, others: Iterable[Home]) -> Group | Alone:
    """Those of `others` (who agreed to be compared with) that are most like a home, itself not among them."""
    if not home.yearly_wh:
        return Alone.SIZE_UNKNOWN
    alike = [other for other in others if other.site != home.site and _are_built_alike(home, other)]
    for ratio in RATIOS:
        sites = frozenset(other.site for other in alike if _are_of_a_size(home.yearly_wh, other.yearly_wh, ratio))
        if len(sites) >= SITES_MIN:
            return Group(sites, ratio, home.heating, home.has_roof)
    return Alone.TOO_FEW_SITES


def _are_built_alike(home: Home, other: Home) -> bool:
    return home.has_roof == other.has_roof and home.heating in (None, other.heating)


def _are_of_a_size(one_wh: int, other_wh: int | None, ratio: float) -> bool:
    return other_wh is not None and 0 < one_wh <= other_wh * ratio and other_wh <= one_wh * ratio


def mean_wh(parts: Sequence[int]) -> int:
    """Of a home in the group, rounded."""
    return (2 * sum(parts) + len(parts)) // (2 * len(parts))
