"""What is polled: a meter on its bus, the type that says how it is read, and what it can carry."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.meters import tables
from gateway.meters.plausible import Limits
from gateway.meters.tables import ENERGY_UNITS, WORDS, MeterTable
from gateway.settings import HEAT, LINKY, SUNSPEC, BusSettings, GatewaySettings, MeterSettings

VOLTAGE = 230
OVERLOAD_PERCENT = 125
"""A meter carries a little more than its rating for a while, and the voltage may be above 230 V."""
SUNSPEC_KW, HEAT_KW, LINKY_KW = 250, 3_000, 36
"""What is taken for the most that such a meter carries, where nobody says otherwise."""

Registers = tuple[tuple[int, int], ...]
"""(quantity, Wh) pairs, quantities ascending."""


@dataclass(frozen=True, slots=True)
class SunSpec:
    """A device that describes itself; `model` is wanted where it has several energy registers."""

    model: int | None = None


@dataclass(frozen=True, slots=True)
class Heat:
    """A heat meter that speaks M-Bus."""


@dataclass(frozen=True, slots=True)
class Linky:
    """A Linky on a TIC dongle."""


Type = MeterTable | SunSpec | Heat | Linky


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter to be polled."""

    name: str
    device: bytes
    bus: BusSettings
    unit: int
    type: Type
    limits: Limits

    @property
    def where(self) -> str:
        """Its maker, model and place, for people."""
        match self.type:
            case MeterTable() as table:
                what = f"{table.maker} {table.model}"
            case SunSpec():
                what = "SunSpec"
            case Heat():
                what = "M-Bus"
            case Linky():
                return f"Linky, {self.bus.place}"
        return f"{what}, {self.bus.place}, unit {self.unit}"


class Bus(Protocol):
    """A bus at work. One caller at a time: it never carries two requests."""

    async def energy(self, meter: Meter) -> Registers:
        """The registers that are signed; MeterSilentError if there are none, whatever the reason."""
        ...

    async def shown(self, meter: Meter) -> list[tuple[str, str]]:
        """What a person compares with the display: names and values. MeterSilentError as above."""
        ...

    def close(self) -> None:
        """Let the line go; a next read opens it anew."""
        ...


def fleet(settings: GatewaySettings) -> list[Meter]:
    """The meters of the settings with their types; UserError names a wrong table."""
    directories: tuple[Path, ...] = (settings.meters_dir,) if settings.meters_dir else ()
    meters = []
    for own in settings.meters:
        found = type_of(own, directories)
        limits = limits_of(found, own.power_max_kw)
        meters.append(Meter(own.name, own.device, settings.bus_of(own), own.unit, found, limits))
    return meters


def type_of(own: MeterSettings, directories: tuple[Path, ...] = ()) -> Type:
    """How a meter is read; UserError names a wrong table."""
    if own.type == SUNSPEC:
        return SunSpec(own.model)
    if own.type == HEAT:
        return Heat()
    if own.type == LINKY:
        return Linky()
    return tables.find(own.type, directories)


def limits_of(found: Type, power_max_kw: int | None = None) -> Limits:
    """What the meter can carry and count; `power_max_kw` is a person's word and goes before the type's."""
    match found:
        case MeterTable() as table:
            return _limits_of_table(table, power_max_kw)
        case SunSpec():
            return Limits((power_max_kw or SUNSPEC_KW) * 1000, resolution_wh=1000, rollover_wh=1 << 32)
        case Heat():
            return Limits((power_max_kw or HEAT_KW) * 1000, resolution_wh=1_000_000, rollover_wh=None)
        case Linky():
            return Limits((power_max_kw or LINKY_KW) * 1000, resolution_wh=1, rollover_wh=10**9)


def _limits_of_table(table: MeterTable, power_max_kw: int | None) -> Limits:
    if power_max_kw is None and table.power_max_kw is not None:
        power_max_kw = table.power_max_kw
    if power_max_kw is not None:
        power_w = power_max_kw * 1000
    else:
        assert table.current_max_a is not None
        assert table.phases is not None
        power_w = table.current_max_a * table.phases * VOLTAGE * OVERLOAD_PERCENT // 100
    register = table.energy[0]
    one_wh = ENERGY_UNITS[register.unit] * register.multiply_by / register.divide_by
    if register.words.startswith("f"):
        return Limits(power_w, resolution_wh=max(1, int(one_wh)), rollover_wh=None)
    bits = 16 * WORDS[register.words][0] - register.words.startswith("i")
    return Limits(power_w, resolution_wh=max(1, int(one_wh)), rollover_wh=int(one_wh * (1 << bits)))
