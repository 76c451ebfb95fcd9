"""What a device's last days make hard to believe of its claims (docs/spec/settlement.md, "Before a mint"). Pure."""

from collections.abc import Callable, Mapping
from itertools import pairwise

from aggregator.plausibility import series
from aggregator.plausibility.series import Steps
from aggregator.settling.settlement import Registers
from commonwatt.refusal import Hold
from commonwatt.units import INTERVAL_S

LOOK_BACK_S = (series.COPIED_DAYS_MAX + 1) * series.STEPS_PER_DAY * INTERVAL_S
"""Days enough to find the last one in any of the seven before."""

_CHECKS: tuple[tuple[Hold, Callable[[Steps], list[range]]], ...] = (
    (Hold.STUCK, series.stuck),
    (Hold.COPIED, series.copied),
)


def suspicions(readings: Mapping[int, Registers], end_s: int) -> dict[int, Hold]:
    """Why the interval that begins at a time is suspicious, by that time, over the days before `end_s`; the first
    reason in the documented order. `readings`: registers by time."""
    from_s = end_s - LOOK_BACK_S
    found: dict[int, Hold] = {}
    quantities = {quantity for registers_wh in readings.values() for quantity in registers_wh}
    steps = [_steps(readings, quantity, from_s) for quantity in sorted(quantities)]
    for reason, check in _CHECKS:
        for run in (run for values in steps for run in check(values)):
            for at in run:
                found.setdefault(from_s + INTERVAL_S * at, reason)
    return found


def growth(readings: Mapping[int, Registers], start_s: int) -> Registers | None:
    """What a device's registers grew in the interval that begins then; None if a reading at either end is missing."""
    before, after = readings.get(start_s), readings.get(start_s + INTERVAL_S)
    if before is None or after is None:
        return None
    return {quantity: wh - before[quantity] for quantity, wh in after.items() if quantity in before}


def _steps(readings: Mapping[int, Registers], quantity: int, from_s: int) -> list[int | None]:
    registers_wh = [
        readings[time_s].get(quantity) if time_s in readings else None
        for time_s in range(from_s, from_s + LOOK_BACK_S + 1, INTERVAL_S)
    ]
    return [None if before is None or after is None else after - before for before, after in pairwise(registers_wh)]
