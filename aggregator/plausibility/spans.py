"""Why a span is held instead of paid (docs/spec/settlement.md, "Holds"). Pure.

What is implausible is never refused: the block stays evidence and the device goes on. Only the claim waits.
"""

from aggregator.settling.settlement import Span
from commonwatt.refusal import Hold

FUTURE_TOLERANCE_S = 60
"""How far a device's clock may be ahead of ours: network time keeps clocks within a second, a minute is a fault."""

ROUNDING_WH = 1
"""Both ends of a span are rounded to whole Wh."""


def hold(span: Span, *, rated_power_w: int, is_frozen: bool) -> Hold | None:
    """The first reason in the documented order for which the span waits, or None."""
    if span.is_replaced:
        return Hold.REPLACED
    if any(growth_wh < 0 for growth_wh in span.growth_wh.values()):
        return Hold.BACKWARDS
    if span.end_s > span.received_s + FUTURE_TOLERANCE_S:
        return Hold.FUTURE
    limit_wh = energy_wh_max(rated_power_w, span.end_s - span.start_s)
    if any(growth_wh > limit_wh for growth_wh in span.growth_wh.values()):
        return Hold.ABOVE_RATING
    return Hold.FROZEN if is_frozen else None


def energy_wh_max(rated_power_w: int, duration_s: int) -> int:
    """What a register can grow at most: the rated power for the whole time, rounded up, plus 1 Wh of rounding."""
    return -(-rated_power_w * duration_s // 3600) + ROUNDING_WH
