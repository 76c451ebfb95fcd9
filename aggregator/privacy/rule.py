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


def check_total(total: int, largest: int | None, *, sites: int, second: int | None = None) -> Withheld | None:
    """Why a total may not be told, or None. `largest` and `second`: the two largest parts of one site each.

    None: nobody noted it; versions that noted the largest alone judged, and told, by it alone.
    """
    if sites < SITES_MIN:
        return Withheld.TOO_FEW_SITES
    if largest is None:
        return Withheld.NOT_RECORDED
    is_laid_bare = largest * 1000 > total * LARGEST_PERMILLE_MAX
    if second is not None:
        is_laid_bare |= (total - largest - second) * 1000 < largest * OTHERS_PERMILLE_MIN
    return Withheld.DOMINATED if is_laid_bare else None


def check_parts(parts: Collection[int]) -> Withheld | None:
    """`check_total` where every site's part (0 at least) is known."""
    largest, second, *_others = sorted([*parts, 0, 0], reverse=True)
    return check_total(sum(parts), largest, sites=len(parts), second=second)


def check_earlier(sites: frozenset[bytes], earlier: Iterable[frozenset[bytes]]) -> Withheld | None:
    """Why a total over these sites may not be told after totals over others for the same time, or None."""
    return Withheld.DIFFERS_BY_FEW if leaves_few([*earlier, sites], SITES_MIN) else None
