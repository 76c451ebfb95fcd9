"""The demo's homes, ten or forty: who lives where is invented, what they measured is not (SOURCES.md).

These tables are the one place that says which register belongs to which home, in the order of registers.csv.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INTERVAL_S

START_S = 1_721_606_400
"""Monday 2024-07-22 00:00 UTC: when the EMHASS week was measured, and what the other weeks are dated onto."""

INTERVALS = 7 * 86_400 // INTERVAL_S
"""Quarter hours of the week."""


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


@dataclass(frozen=True, slots=True)
class Roof:
    """Solar panels of one of the forty homes: `peak_w` of them, as a measured roof of `source_w` produced.

    `source`: the folder of the measurements; `series`: which of them: a column, or the Monday of a week.
    """

    source: str
    series: str
    source_w: int
    peak_w: int


@dataclass(frozen=True, slots=True)
class Feeder:
    """Homes on one cable, in one quarter; the gateway of that name stands in its cupboard."""

    name: str
    quarter: str
    gateway: str
    homes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Village:
    """Who lives together in one run. Every home hangs on one feeder.

    `over_modbus`: the solar meters that a gateway reads over Modbus TCP; all other devices run the firmware.
    `roofs`: by the name of their meter, where panels were added to a measured home. `solar_home`: pays the baker.
    """

    devices: Mapping[str, Device]
    feeders: tuple[Feeder, ...]
    over_modbus: tuple[str, ...]
    roofs: Mapping[str, Roof]
    solar_home: str

    @property
    def homes(self) -> tuple[str, ...]:
        """Every home once, in the order of the table of devices."""
        return tuple(dict.fromkeys(device.home for device in self.devices.values()))

    @property
    def readers(self) -> tuple[str, ...]:
        """The devices that run the firmware."""
        return tuple(name for name in self.devices if name not in self.over_modbus)

    @property
    def gateways(self) -> tuple[str, ...]:
        """One for every feeder."""
        return tuple(feeder.gateway for feeder in self.feeders)

    def of_gateway(self, gateway: str) -> tuple[str, ...]:
        """The devices that a gateway serves."""
        (feeder,) = (feeder for feeder in self.feeders if feeder.gateway == gateway)
        return tuple(name for name, device in self.devices.items() if device.home in feeder.homes)


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
"""Every device of the ten homes by name."""

SWISS_METERS: dict[str, str] = {
    "swiss1": "1320610",  # terraced house, electric heating
    "swiss2": "1928936",  # single-family house, electric heating
    "swiss3": "3041349",  # semi-detached house, electric heating
    "swiss4": "3198290",  # single-family house, ground-source heat pump
    "swiss5": "3254948",  # single-family house, other heating
    "swiss6": "3520987",  # semi-detached house, ground-source heat pump
    "swiss7": "4693828",  # flat in a multi-family house, ground-source heat pump
    "swiss8": "4927996",  # terraced house, air-source heat pump
    # The others of the data set; ten said what they heat with (nine single-family houses and three flats among
    # them), of the last twenty nothing is known.
    **{
        f"swiss{number}": meter
        for number, meter in enumerate(
            (
                *("2443061", "2861642", "3145361", "3179345", "3645929", "3655709", "3816031", "4116129"),
                *("4150003", "5086115", "5188049", "5293838", "1000317", "1059352", "1083091", "1159584"),
                *("1283073", "1366587", "1417843", "1471867", "1551598", "1580282", "1646660", "1704626"),
                *("1924222", "2049014", "2056970", "2200278", "2313250", "2320819", "2378209", "2526568"),
            ),
            start=9,
        )
    },
}
"""Which meter of the Swiss data set stands for which home. The first eight live in both villages: different kinds of
house and of heating."""

_ROOFS = {
    "swiss2": Roof("emhass", "2024-07-22", 4_000, 4_000),
    "swiss5": Roof("pvdaq", "2011-07-25", 3_400, 6_000),
    "swiss8": Roof("simbench", "PV1", 1, 5_000),
    "swiss11": Roof("simbench", "PV3", 1, 7_500),
    "swiss14": Roof("sma", "2016-06-27", 7_000, 9_000),
    "swiss17": Roof("simbench", "PV4", 1, 6_000),
    "swiss22": Roof("pvdaq", "2012-07-16", 3_400, 5_000),
    "swiss25": Roof("sma", "2016-07-04", 7_000, 7_000),
    "swiss28": Roof("simbench", "PV5", 1, 8_000),
    "swiss31": Roof("sma", "2016-07-11", 7_000, 6_000),
    "swiss34": Roof("simbench", "PV6", 1, 9_000),
    "swiss37": Roof("simbench", "PV8", 1, 4_500),
}

TEN_HOMES = Village(
    devices=DEVICES,
    feeders=(Feeder("mill", "mill street", "cupboard", tuple(dict.fromkeys(d.home for d in DEVICES.values()))),),
    over_modbus=("emhass-solar",),
    roofs={},
    solar_home="emhass",
)
"""A street: one feeder, one solar roof."""


def _forty_devices() -> dict[str, Device]:
    devices = {}
    for home in SWISS_METERS:
        quantities = _BOTH if home in _ROOFS else _IMPORT
        devices[home] = Device(home, home, Role.MAIN, quantities, _SWISS_W)
        if home in _ROOFS:
            roof = Device(f"{home}-roof", home, Role.PRODUCTION, _EXPORT, _ROOFS[home].peak_w)
            devices[roof.name] = roof
    return devices


FORTY_HOMES = Village(
    devices=_forty_devices(),
    feeders=(
        Feeder("mill", "mill street", "mill-cupboard", tuple(SWISS_METERS)[:20]),
        Feeder("church", "church square", "church-cupboard", tuple(SWISS_METERS)[20:]),
    ),
    over_modbus=("swiss2-roof", "swiss22-roof"),
    roofs={f"{home}-roof": roof for home, roof in _ROOFS.items()},
    solar_home="swiss5",
)
"""Two feeders of twenty homes, six roofs on each."""

VILLAGES: dict[int, Village] = {len(village.homes): village for village in (TEN_HOMES, FORTY_HOMES)}
"""By the number of homes."""
