"""When a statistic may leave: whether anyone's own figure could be read off it. Pure; one rule for every way out.

Three checks, the first that fails is the answer: enough sites, none that dominates, and no earlier answer about the
same time that differs by a few homes only, which subtraction would lay bare.
"""

from collections.abc import Iterable
from enum import Enum

SITES_MIN = 10
"""Below this a total would tell too much about one household."""

LARGEST_PERMILLE_MAX = 500
"""If one site makes up more than half of a total, its neighbours, who know their own figures, know it nearly."""


class Withheld(Enum):
    """Why a figure is not told, in the order in which it is checked."""

    TOO_FEW_SITES = "too-few-sites"
    NOT_RECORDED = "not-recorded"
    DOMINATED = "dominated"
    DIFFERS_BY_FEW = "differs-by-few"


def check_total(total: int, largest: int | None, *, sites: int) -> Withheld | None:
    """Why a total may not be told, or None. `largest`: the largest part of one site; None: nobody noted it."""
    if sites < SITES_MIN:
        return Withheld.TOO_FEW_SITES
    if largest is None:
        return Withheld.NOT_RECORDED
    return Withheld.DOMINATED if largest * 1000 > total * LARGEST_PERMILLE_MAX else None


def check_earlier(sites: frozenset[bytes], earlier: Iterable[frozenset[bytes]]) -> Withheld | None:
    """Why a total over these sites may not be told after totals over others for the same time, or None.

    The same sites again are the same answer. Otherwise those in one and not in the other must be enough by
    themselves, because their total is the difference of the two.
    """
    for before in earlier:
        for difference in (before - sites, sites - before):
            if 0 < len(difference) < SITES_MIN:
                return Withheld.DIFFERS_BY_FEW
    return None
