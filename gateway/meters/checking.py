"""`commonwatt gateway check`: each meter read once, as a person compares it with the display."""

from dataclasses import dataclass

from commonwatt.clock import Protocolar
from commonwatt.i18n import _
from gateway.meters.buses import open_bus
from gateway.meters.meter import Meter
from gateway.meters.silence import MeterSilentError, meaning_of


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
        head = f"{self.meter.name} ({self.meter.where})"
        if self.silent_because is not None:
            reason, meaning = self.silent_because, meaning_of(self.silent_because)
            return f"{head}: " + _("no answer: {reason}: {meaning}").format(reason=reason, meaning=meaning)
        return "\n".join((head, *(f"  {name:<24}{shown}" for name, shown in self.lines)))


async def check_all(fleet: list[Meter], protocol: Protocolar) -> list[Report]:
    """Read all meters one after another, so that one bus never carries two requests."""
    return [await _check(meter, protocol) for meter in fleet]


async def _check(meter: Meter, protocol: Protocolar) -> Report:
    bus = open_bus(meter.bus, protocol)
    try:
        return Report(meter, tuple(await bus.shown(meter)))
    except MeterSilentError as error:
        return Report(meter, (), error.reason)
    finally:
        bus.close()
