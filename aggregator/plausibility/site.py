"""What the meters of one site say of each other. Pure; whole Wh over the same span.

Meters round, and their clocks differ by seconds, so they never agree to the watt-hour. The margins were tried on
two real homes with several meters each (docs/plausibility.md).
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from aggregator.settling.settlement import Registers
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INTERVAL_S

ROUNDING_WH = 1
NOISE_PERMILLE = 50
"""Of the larger figure: class 2 meters on both sides, and a second or two between their readings."""
NOISE_WH_MIN = 15

CONTRACT_PERCENT = 140
"""A Linky cuts when its filtered square of the power (B = 0.008 each second) passes (1.3 × contract)². So the mean
over 900 s cannot pass 1.3 × √(1 + 1 / (0.008 × 900)) = 1.387 × contract, however the load comes and goes."""


def margin_wh(larger_wh: int) -> int:
    """How far two figures for the same energy may lie apart."""
    return max(NOISE_WH_MIN, larger_wh * NOISE_PERMILLE // 1000)


def plugs_exceed_main(plugs_wh: Iterable[int], import_wh: int, produced_wh: int, exported_wh: int) -> bool:
    """Whether sub-meters measured more than the home used: import + production − export."""
    plugs = list(plugs_wh)
    used_wh = import_wh + produced_wh - exported_wh
    return sum(plugs) > used_wh + margin_wh(max(used_wh, 0)) + ROUNDING_WH * len(plugs)


def import_wh_max(contracted_va: int, meters: int) -> int:
    """What a site can draw in one interval before its meter cuts it off, rounded up, plus rounding of each meter."""
    return -(-contracted_va * INTERVAL_S * CONTRACT_PERCENT // 360_000) + ROUNDING_WH * meters


def feeds_more_than_it_has(
    import_wh: NDArray[np.int64],
    exported_wh: NDArray[np.int64],
    produced_wh: NDArray[np.int64],
    known: NDArray[np.bool_],
    storage_wh: int,
) -> NDArray[np.bool_]:
    """By interval, whether a site fed in more than it made and its batteries held: production + import − export is
    what it used, and nobody uses less than nothing.

    Without storage nothing is carried from one interval to the next, and what is drawn cannot be fed in. With storage
    the batteries are full at first, and again after an interval that is not known.
    """
    spare_wh = produced_wh + import_wh if storage_wh else produced_wh
    missing_wh = exported_wh - spare_wh - np.maximum(NOISE_WH_MIN, produced_wh * NOISE_PERMILLE // 1000)
    exceeds = np.zeros(len(known), np.bool_)
    drained_wh = 0
    for at in range(len(known)):
        drained_wh = max(0, min(drained_wh, storage_wh) + int(missing_wh[at])) if known[at] else 0
        exceeds[at] = drained_wh > storage_wh
    return exceeds


def is_exceeded(
    mains: Sequence[Registers | None], producers: Sequence[Registers | None], plugs: Sequence[Registers | None]
) -> bool:
    """`plugs_exceed_main` for the growth of a site's meters over one interval; None: unknown. Without all main and
    production meters, or without any plug, nothing can be said."""
    known = [growth for growth in (*mains, *producers) if growth is not None]
    plugs_wh = [growth.get(IMPORT.number, 0) for growth in plugs if growth is not None]
    if not mains or len(known) < len(mains) + len(producers) or not plugs_wh:
        return False
    import_wh, exported_wh = (
        sum(growth.get(quantity.number, 0) for growth in known[: len(mains)]) for quantity in (IMPORT, EXPORT)
    )
    produced_wh = sum(growth.get(EXPORT.number, 0) for growth in known[len(mains) :])
    return plugs_exceed_main(plugs_wh, import_wh, produced_wh, exported_wh)
