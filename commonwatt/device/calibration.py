"""Calibration by a known load: what a plug counted and showed, beside what a reference meter says, makes its gains.

A snapshot is one `state` of the device's meter as it publishes it:

    {"uptime_ms": 61000, "pulses": 81300, "wh_per_pulse": [5400000, 3600000000],
     "voltage_mv": 231200, "current_ma": 8650, "power_mw": 1998000}

Gains are fractions; the firmware multiplies by them in whole numbers and refuses what is outside 4/5 to 5/4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from itertools import pairwise
from typing import Any

DURATION_MS_MIN = 300_000
PULSES_MIN = 500
"""One pulse more or less is then 0.2 %, a fifth of a class 1 meter's error."""
POWER_W_MIN = Fraction(100)
SPREAD_MAX = Fraction(2, 100)
GAIN_MIN, GAIN_MAX = Fraction(4, 5), Fraction(5, 4)
DENOMINATOR_MAX = 1_000_000
SNAPSHOTS_MIN = 5
UPTIME_WRAP_MS = 1 << 30
"""MicroPython's ticks_ms() begins again after 12 days."""


class Refusal(Enum):
    """Why no calibration came out, in the order in which it is looked for."""

    MALFORMED = "a snapshot without uptime_ms, pulses and wh_per_pulse, or with other things in them"
    TOO_FEW = "fewer than five snapshots"
    RESTARTED = "the device restarted, or its meter chip changed, between two snapshots"
    TOO_SHORT = "less than five minutes"
    TOO_SMALL = "a load below 100 W"
    TOO_FEW_PULSES = "fewer than 500 pulses: take a larger load, or more time"
    UNSTEADY = "the power was not within 2 % of its mean: take a heater without a thermostat"
    IMPLAUSIBLE = "a gain outside 4/5 to 5/4: is it the right board, and is the reference's load the plug's only one?"


@dataclass(frozen=True, slots=True)
class KnownLoad:
    """What the reference meter says, as means over the same time. Amperes are worked out where they are not given."""

    power_w: Fraction
    voltage_v: Fraction | None = None
    current_a: Fraction | None = None


def _is_snapshot(snapshot: Mapping[str, Any]) -> bool:
    numbers = [snapshot.get("uptime_ms"), snapshot.get("pulses")]
    fraction = snapshot.get("wh_per_pulse")
    if not isinstance(fraction, list) or len(fraction) != 2:
        return False
    numbers += fraction
    is_whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    return is_whole and min(snapshot["uptime_ms"], snapshot["pulses"]) >= 0 and min(fraction) > 0


def _shown(snapshots: Sequence[Mapping[str, Any]], name: str) -> list[Fraction]:
    values = [snapshot.get(name) for snapshot in snapshots]
    return [Fraction(value, 1000) for value in values if isinstance(value, int) and value > 0]


def _is_one_run(snapshots: Sequence[Mapping[str, Any]]) -> bool:
    return all(
        0 < (later["uptime_ms"] - earlier["uptime_ms"]) % UPTIME_WRAP_MS < UPTIME_WRAP_MS // 2
        and later["pulses"] >= earlier["pulses"]
        and later["wh_per_pulse"] == earlier["wh_per_pulse"]
        for earlier, later in pairwise(snapshots)
    )


def calibrate(snapshots: Sequence[Mapping[str, Any]], load: KnownLoad) -> dict[str, Fraction] | Refusal:
    """The gains by name: `energy` always; `power`, `voltage` and `current` where both sides have a value.

    The gains that the device already has must be 1, except that of energy: pulses are counted before it.
    """
    if not all(_is_snapshot(snapshot) for snapshot in snapshots):
        return Refusal.MALFORMED
    if len(snapshots) < SNAPSHOTS_MIN:
        return Refusal.TOO_FEW
    if not _is_one_run(snapshots):
        return Refusal.RESTARTED
    first, last = snapshots[0], snapshots[-1]
    elapsed_ms = (last["uptime_ms"] - first["uptime_ms"]) % UPTIME_WRAP_MS
    pulses = last["pulses"] - first["pulses"]
    if elapsed_ms < DURATION_MS_MIN:
        return Refusal.TOO_SHORT
    if load.power_w < POWER_W_MIN:
        return Refusal.TOO_SMALL
    if pulses < PULSES_MIN:
        return Refusal.TOO_FEW_PULSES
    powers = _shown(snapshots, "power_mw")
    if powers and max(abs(power * len(powers) - sum(powers)) for power in powers) > SPREAD_MAX * sum(powers):
        return Refusal.UNSTEADY
    true_wh = load.power_w * elapsed_ms / 3_600_000
    gains = {"energy": true_wh / (pulses * Fraction(*first["wh_per_pulse"]))}
    gains.update(_shown_gains(snapshots, load))
    gains = {name: gain.limit_denominator(DENOMINATOR_MAX) for name, gain in gains.items()}
    return gains if all(GAIN_MIN <= gain <= GAIN_MAX for gain in gains.values()) else Refusal.IMPLAUSIBLE


def _shown_gains(snapshots: Sequence[Mapping[str, Any]], load: KnownLoad) -> dict[str, Fraction]:
    current_a = load.current_a or (
        load.power_w / load.voltage_v if load.voltage_v else None
    )  # a heater: no phase shift
    gains = {}
    for name, key, true in (
        ("power", "power_mw", load.power_w),
        ("voltage", "voltage_mv", load.voltage_v),
        ("current", "current_ma", current_a),
    ):
        values = _shown(snapshots, key)
        if values and true:
            gains[name] = true * len(values) / sum(values)
    return gains
