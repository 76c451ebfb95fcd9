"""The same as spans.hold for many spans at once. Pure; test_interval_columns.py holds one against the other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregator.plausibility.spans import FUTURE_TOLERANCE_S, ROUNDING_WH
from aggregator.settling.settlement_columns import Spans
from commonwatt.page import UNKNOWN, Integers
from commonwatt.refusal import Hold
from commonwatt.units import INT64_MAX

NO_HOLD = 0


def holds(spans: Spans, rated_power_w: Integers, is_frozen: NDArray[np.bool_]) -> Integers:
    """For each span the first reason in the documented order for which it waits, as a number, or NO_HOLD."""
    least, most = np.zeros(len(spans), dtype=np.int64), np.zeros(len(spans), dtype=np.int64)
    for growth_wh in spans.growth_wh.values():
        known_wh = np.where(growth_wh == UNKNOWN, 0, growth_wh)
        least, most = np.minimum(least, known_wh), np.maximum(most, known_wh)
    reasons = (
        (spans.is_replaced, Hold.REPLACED),
        (least < 0, Hold.BACKWARDS),
        (spans.ends_s > spans.received_s + FUTURE_TOLERANCE_S, Hold.FUTURE),
        (most > _energy_wh_max(rated_power_w, spans.ends_s - spans.starts_s), Hold.ABOVE_RATING),
        (is_frozen, Hold.FROZEN),
    )
    return np.select([found for found, _reason in reasons], [int(reason) for _found, reason in reasons], NO_HOLD)


def _energy_wh_max(rated_power_w: Integers, durations_s: Integers) -> NDArray[Any]:
    """What a register can grow at most, as in spans.energy_wh_max."""
    if len(rated_power_w) and int(rated_power_w.max()) * int(durations_s.max()) > INT64_MAX - 3600:
        rated_power_w = rated_power_w.astype(object)  # whole numbers of any size
    return -(-rated_power_w * durations_s // 3600) + ROUNDING_WH
