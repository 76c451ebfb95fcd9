"""What all devices together say of themselves: counts by class, which go upstream; never which device. Pure.

Classes are those of docs/spec/telemetry.md (`fleet`, `grid`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.devices.states import DeviceState

GOOD_DBM, FAIR_DBM = -67, -75
"""From here on upwards a radio is good, or fair: usual limits of Wi-Fi planning for voice and for data."""
GRID_METERS_MIN = 3
"""Fewer voltages would tell of one home's wires."""
VERSIONS_MAX = 50
"""Versions of the firmware that are told apart; more are no roll-out but a lie."""
_VOLTAGE_MV, _FREQUENCY_MHZ = (100_000, 300_000), (40_000, 70_000)
UNKNOWN = "unknown"


def counts(states: Iterable[DeviceState]) -> dict[str, dict[str, int]]:
    """Devices by facet and class. What a device that is away said last is not counted but under `state`."""
    known = list(states)
    online = [state for state in known if state.is_online]
    versions = Counter(_version(state.said) for state in online)
    return {
        "state": {"online": len(online), "offline": len(known) - len(online)},
        "clock": _counted(("trusted", "learning", "unsynchronised"), map(_clock, online)),
        "radio": _counted(("good", "fair", "weak", "wired"), map(_radio, online)),
        "firmware": dict(versions.most_common(VERSIONS_MAX)),
    }


def grid(states: Iterable[DeviceState]) -> dict[str, int]:
    """The lowest and highest voltage and frequency of the meters that report them; nothing of a few."""
    meters = [meter for state in states if state.is_online and isinstance(meter := state.said.get("meter"), dict)]
    found: dict[str, int] = {}
    for name, bounds in (("voltage_mv", _VOLTAGE_MV), ("frequency_mhz", _FREQUENCY_MHZ)):
        values = [value for meter in meters if (value := _within(meter.get(name), bounds)) is not None]
        if len(values) >= GRID_METERS_MIN:
            found |= {f"{name}_min": min(values), f"{name}_max": max(values)}
            found["meters"] = max(found.get("meters", 0), len(values))
    return found


def _counted(classes: tuple[str, ...], of: Iterable[str]) -> dict[str, int]:
    found = Counter(of)
    return {name: found[name] for name in classes}


def _clock(state: DeviceState) -> str:
    """A device that has said no more than that it is there may still be learning the time."""
    if not state.said or set(state.said) == {"state"}:
        return "learning"
    return "trusted" if state.said.get("time_known") is True else "unsynchronised"


def _radio(state: DeviceState) -> str:
    level_dbm = _within(state.said.get("wifi_rssi_dbm"), (-127, -1))
    if level_dbm is None:
        return "wired"
    return "good" if level_dbm >= GOOD_DBM else "fair" if level_dbm >= FAIR_DBM else "weak"


def _version(said: Mapping[str, Any]) -> str:
    version = said.get("version")
    return str(version) if type(version) is int and 0 <= version < 1 << 32 else UNKNOWN


def _within(value: Any, bounds: tuple[int, int]) -> int | None:
    return value if type(value) is int and bounds[0] <= value <= bounds[1] else None
