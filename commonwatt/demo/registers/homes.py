"""The demo's ten homes: who lives where is invented, what they measured is not (SOURCES.md).

This table is the one place that says which register belongs to which home, in the order of registers.csv.
"""

from dataclasses import dataclass
from enum import IntEnum

from commonwatt.quantities import EXPORT, IMPORT


class Role(IntEnum):
    """What a device measures; the numbers are those of `admit` entries (docs/spec/entry.cddl)."""

    MAIN = 1
    PRODUCTION = 2
    SUB_METER = 3


@dataclass(frozen=True, slots=True)
class Device:
    """One device of the demo. `quantities` ascend; `rated_power_w` is what its fuse or nameplate allows."""

    name: str
    home: str
    role: Role
    quantities: tuple[int, ...]
    rated_power_w: int


_IMPORT = (IMPORT.number,)
_EXPORT = (EXPORT.number,)
_BOTH = (IMPORT.number, EXPORT.number)

# A Swiss house connection of 3 × 25 A; French contracts of 9 and 12 kVA; a 4 kW inverter; 16 A plugs.
_SWISS_W, _EMHASS_W, _SCEAUX_W, _INVERTER_W, _PLUG_W = 17_250, 9_000, 12_000, 4_000, 3_680

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        *(Device(f"swiss{number}", f"swiss{number}", Role.MAIN, _IMPORT, _SWISS_W) for number in range(1, 9)),
        Device("emhass-main", "emhass", Role.MAIN, _BOTH, _EMHASS_W),
        Device("emhass-solar", "emhass", Role.PRODUCTION, _EXPORT, _INVERTER_W),
        Device("sceaux-main", "sceaux", Role.MAIN, _IMPORT, _SCEAUX_W),
        Device("sceaux-kitchen", "sceaux", Role.SUB_METER, _IMPORT, _PLUG_W),
        Device("sceaux-laundry", "sceaux", Role.SUB_METER, _IMPORT, _PLUG_W),
        Device("sceaux-heater", "sceaux", Role.SUB_METER, _IMPORT, _PLUG_W),
    )
}
"""Every device by name."""

SWISS_METERS: dict[str, str] = {
    "swiss1": "1320610",  # terraced house, electric heating
    "swiss2": "1928936",  # single-family house, electric heating
    "swiss3": "3041349",  # semi-detached house, electric heating
    "swiss4": "3198290",  # single-family house, ground-source heat pump
    "swiss5": "3254948",  # single-family house, other heating
    "swiss6": "3520987",  # semi-detached house, ground-source heat pump
    "swiss7": "4693828",  # flat in a multi-family house, ground-source heat pump
    "swiss8": "4927996",  # terraced house, air-source heat pump
}
"""Which meter of the Swiss data set stands for which home: different kinds of house and of heating."""
