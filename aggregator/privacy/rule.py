"""When a figure may leave: whether anyone's own could be read off it. Pure; one rule for every way out.

The first check that fails is the answer: enough sites, none that dominates, and no earlier answers about the same
time from which this one, by adding and subtracting, would lay a few homes bare (linear.py).
"""

from collections.abc import Collection, Iterable
from enum import Enum

from aggregator.privacy.linear import leaves_few

SITES_MIN = 10
"""Below this a total would tell too much about one household."""

LARGEST_PERMILLE_MAX = 500
"""If one site makes up more than half of a total, its neighbours, who know their own figures, know it nearly."""

OTHERS_PERMILLE_MIN = 100
"""What is left of a total without its two largest, in parts of the largest: with less, the second largest, who knows
its own figure, knows the largest to within a tenth (the p% rule of official statistics)."""


class Withheld(Enum):
    """Why a figure is not told, in the order in which it is checked."""

    NOT_SETTLED = "not-settled"
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


def check_parts(parts: Collection[int]) -> Withheld | None:
    """`check_total` where every site's part (0 at least) is known: the second largest may not know the largest."""
    largest, second, *_others = sorted([*parts, 0, 0], reverse=True)
    reason = check_total(sum(parts), largest, sites=len(parts))
    if reason is not None or largest == 0:
        return reason
    others = sum(parts) - largest - second
    return Withheld.DOMINATED if others * 1000 < largest * OTHERS_PERMILLE_MIN else None


def check_earlier(sites: frozenset[bytes], earlier: Iterable[frozenset[bytes]]) -> Withheld | None:
    """Why a total over these sites may not be told after totals over others for the same time, or None."""
    return Withheld.DIFFERS_BY_FEW if leaves_few([*earlier, sites], SITES_MIN) else None
