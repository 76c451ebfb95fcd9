"""Reads a SunSpec device over a Modbus bus: models are found once, then its energy is one request."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

from commonwatt.i18n import _
from gateway.meters import sunspec
from gateway.meters.silence import MeterSilentError
from gateway.meters.sunspec import Model, Read
from gateway.meters.tables import Request

FUNCTION = 3
"""SunSpec maps are holding registers."""
WORDS_MAX = 123
"""Of a model these are read at once: every register that we sign stands among them, and a request carries 125."""
NO_SUCH_ADDRESS = "exception-2"


class Bus(Protocol):
    """What is needed of a bus; `gateway.meters.modbus.ModbusLine` is one."""

    async def read(self, function: int, unit: int, requests: list[Request]) -> dict[int, int]:
        """All registers by address; MeterSilentError if there is no answer."""
        ...


def reader(bus: Bus, unit: int) -> Read:
    """Reads registers of one unit; LookupError where the device says that it has no such address."""

    async def read(address: int, count: int) -> Sequence[int]:
        try:
            memory = await bus.read(FUNCTION, unit, [Request(address, count)])
        except MeterSilentError as error:
            if error.reason == NO_SUCH_ADDRESS:
                raise LookupError(address) from error
            raise
        return [memory[address + index] for index in range(count)]

    return read


async def find(bus: Bus, unit: int, *, wanted: int | None = None) -> Model:
    """The model whose energy is signed. MeterSilentError if nobody answers, or the device's map will not do."""
    try:
        return sunspec.metering(await sunspec.discover(reader(bus, unit)), wanted)
    except sunspec.SunSpecError as error:
        raise MeterSilentError(f"sunspec-{error.refusal.value}") from error
    except LookupError as error:
        raise MeterSilentError("sunspec-endless") from error


async def read_energy(bus: Bus, unit: int, model: Model) -> tuple[tuple[int, int], ...]:
    """The energy registers as (quantity, Wh). MeterSilentError also when the model moved: firmware was updated."""
    count = min(model.length + 2, WORDS_MAX)
    try:
        words = await reader(bus, unit)(model.address, count)
    except LookupError as error:
        raise MeterSilentError("sunspec-moved") from error
    if (words[0], words[1]) != (model.number, model.length):
        raise MeterSilentError("sunspec-moved")
    registers_wh = sunspec.registers_wh(model.number, words)
    if registers_wh is None:
        raise MeterSilentError("no-value")
    return registers_wh


async def shown(bus: Bus, unit: int, *, wanted: int | None = None) -> list[tuple[str, str]]:
    """What a person compares: who the device is, each of its models that we know, and its strings of panels."""
    try:
        models = await sunspec.discover(reader(bus, unit))
    except (sunspec.SunSpecError, LookupError) as error:
        reason = error.refusal.value if isinstance(error, sunspec.SunSpecError) else "endless"
        raise MeterSilentError(f"sunspec-{reason}") from error
    lines = []
    for model in models:
        count = min(model.length + 2, WORDS_MAX)
        if model.number not in (1, sunspec.STRINGS, *sunspec.POINTS):
            continue
        memory = await bus.read(FUNCTION, unit, [Request(model.address, count)])
        words = [memory[model.address + index] for index in range(count)]
        if model.number == 1:
            lines += list(zip((_("maker"), _("model")), sunspec.identity(words), strict=True))
        for point, exact in sunspec.values(model.number, words).items():
            lines.append((f"{model.number} {point}", _shown(exact)))
        if model.number == sunspec.STRINGS:
            for index, module in enumerate(sunspec.modules(words), start=1):
                lines += [
                    (f"{model.number} string {index} {point}", _shown(exact)) for point, exact in module.items()
                ]
    if wanted is not None and wanted not in {model.number for model in models}:
        raise MeterSilentError("sunspec-no-energy")
    return lines


def _shown(exact: Fraction | None) -> str:
    return _("no value") if exact is None else f"{float(exact):.3f}"
