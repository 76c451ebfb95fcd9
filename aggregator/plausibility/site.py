"""What the meters of one site say of each other. Pure; whole Wh over the same span.

Meters round, and their clocks differ by seconds, so they never agree to the watt-hour. The margins were tried on
two real homes with several meters each (docs/plausibility.md).
"""

from collections.abc import Iterable, Sequence

from aggregator.settling.settlement import Registers
from commonwatt.quantities import EXPORT, IMPORT

ROUNDING_WH = 1
NOISE_PERMILLE = 50
"""Of the larger figure: class 2 meters on both sides, and a second or two between their readings."""
NOISE_WH_MIN = 15


def margin_wh(larger_wh: int) -> int:
    """How far two figures for the same energy may lie apart."""
    return max(NOISE_WH_MIN, larger_wh * NOISE_PERMILLE // 1000)


def plugs_exceed_main(plugs_wh: Iterable[int], import_wh: int, produced_wh: int, exported_wh: int) -> bool:
    """Whether sub-meters measured more than the home used: import + production − export."""
    plugs = list(plugs_wh)
    used_wh = import_wh + produced_wh - exported_wh
    return sum(plugs) > used_wh + margin_wh(max(used_wh, 0)) + ROUNDING_WH * len(plugs)


def exports_exceed_production(exported_wh: int, produced_wh: int) -> bool:
    """Whether a site without storage fed in more than it made."""
    return exported_wh > produced_wh + margin_wh(produced_wh)


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
