"""`commonwatt gateway check`: each meter read once, as a person compares it with the display."""

from dataclasses import dataclass
from fractions import Fraction

from commonwatt.i18n import _
from commonwatt.quantities import BY_OBIS
from commonwatt.units import format_kwh
from gateway.meters import tables as meters
from gateway.meters.modbus import MeterSilentError, TcpBus
from gateway.meters.polling import Meter


@dataclass(frozen=True, slots=True)
class Report:
    """What one meter said; `silent_because` is set when it said nothing."""

    meter: Meter
    lines: tuple[tuple[str, str], ...]
    silent_because: str | None = None

    @property
    def answered(self) -> bool:
        """Whether there is anything to compare."""
        return self.silent_because is None

    def text(self) -> str:
        """For people."""
        meter = self.meter
        head = f"{meter.name} ({meter.table.maker} {meter.table.model}, {meter.host}:{meter.port}, unit {meter.unit})"
        if not self.answered:
            return f"{head}: " + _("no answer: {reason}").format(reason=self.silent_because)
        return "\n".join((head, *(f"  {name:<24}{shown}" for name, shown in self.lines)))


async def check_all(fleet: list[Meter], *, timeout_s: float) -> list[Report]:
    """Read all meters one after another, so that one bus never carries two requests."""
    return [await _check(meter, timeout_s) for meter in fleet]


async def _check(meter: Meter, timeout_s: float) -> Report:
    bus = TcpBus(meter.host, meter.port, timeout_s=timeout_s)
    wanted = meters.requests((*meter.table.energy, *meter.table.shown), meter.table.registers_max)
    try:
        memory = await bus.read(meter.table.function, meter.unit, wanted)
    except MeterSilentError as error:
        return Report(meter, (), error.reason)
    finally:
        bus.close()
    energy = [(BY_OBIS[r.quantity].name, _energy(meters.energy_wh(r, memory))) for r in meter.table.energy]
    shown = [(r.name, _shown(meters.quantity(r, memory), r)) for r in meter.table.shown]
    return Report(meter, (*energy, *shown))


def _energy(register_wh: int | None) -> str:
    return _("no value") if register_wh is None else format_kwh(register_wh)


def _shown(exact: Fraction | None, register: meters.ShownRegister) -> str:
    return _("no value") if exact is None else f"{float(exact):.3f} {register.unit}"
