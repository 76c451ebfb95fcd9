"""Meters on a Modbus bus: read by their table, or as SunSpec devices by discovery."""

from fractions import Fraction

from commonwatt.i18n import _
from commonwatt.quantities import BY_OBIS
from commonwatt.units import format_kwh
from gateway.meters import sunspec_bus, tables
from gateway.meters.meter import Meter, Registers, SunSpec
from gateway.meters.modbus import ModbusLine
from gateway.meters.silence import MeterSilentError
from gateway.meters.sunspec import Model
from gateway.meters.tables import MeterTable, ShownRegister
from gateway.settings import BusSettings


class ModbusBus:
    """One bus and what was discovered on it."""

    def __init__(self, settings: BusSettings) -> None:
        self._line = ModbusLine(settings)
        self._models: dict[int, Model] = {}

    async def energy(self, meter: Meter) -> Registers:
        """The registers that are signed; MeterSilentError if there are none."""
        if isinstance(meter.type, SunSpec):
            return await self._energy_of_sunspec(meter.unit, meter.type)
        table = _table(meter)
        memory = await self._line.read(table.function, meter.unit, tables.energy_requests(table))
        registers_wh = tables.registers_wh(table, memory)
        if registers_wh is None:
            raise MeterSilentError("no-value")
        return registers_wh

    async def shown(self, meter: Meter) -> list[tuple[str, str]]:
        """Everything that the type names, with its unit."""
        if isinstance(meter.type, SunSpec):
            return await sunspec_bus.shown(self._line, meter.unit, wanted=meter.type.model)
        table = _table(meter)
        wanted = tables.requests((*table.energy, *table.shown), table.registers_max)
        memory = await self._line.read(table.function, meter.unit, wanted)
        energy = [(BY_OBIS[r.quantity].name, energy_text(tables.energy_wh(r, memory))) for r in table.energy]
        return energy + [(r.name, _shown(tables.quantity(r, memory), r)) for r in table.shown]

    def close(self) -> None:
        """Let the line go."""
        self._line.close()

    async def _energy_of_sunspec(self, unit: int, wanted: SunSpec) -> Registers:
        model = self._models.get(unit)
        if model is None:
            model = self._models[unit] = await sunspec_bus.find(self._line, unit, wanted=wanted.model)
        try:
            return await sunspec_bus.read_energy(self._line, unit, model)
        except MeterSilentError:
            # Its firmware may have been updated, or another device has its place: look again the next time.
            del self._models[unit]
            raise


def energy_text(register_wh: int | None) -> str:
    """A register as a display shows it."""
    return _("no value") if register_wh is None else format_kwh(register_wh)


def _table(meter: Meter) -> MeterTable:
    assert isinstance(meter.type, MeterTable), "the settings let no other type onto this bus"
    return meter.type


def _shown(exact: Fraction | None, register: ShownRegister) -> str:
    return _("no value") if exact is None else f"{float(exact):.3f} {register.unit}"
