"""Reads a SunSpec device over a Modbus bus: models are found once, then its energy is one request."""

from collections.abc import Sequence
from typing import Protocol

from gateway.meters import sunspec
from gateway.meters.modbus import MeterSilentError
from gateway.meters.sunspec import Model, Read
from gateway.meters.tables import Request

FUNCTION = 3
"""SunSpec maps are holding registers."""
WORDS_MAX = 123
"""Of a model these are read at once: every register that we sign stands among them, and a request carries 125."""
NO_SUCH_ADDRESS = "exception-2"


class Bus(Protocol):
    """What is needed of a bus; `gateway.meters.modbus.TcpBus` is one."""

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
    memory = await bus.read(FUNCTION, unit, [Request(model.address, count)])
    words = [memory[model.address + index] for index in range(count)]
    if (words[0], words[1]) != (model.number, model.length):
        raise MeterSilentError("sunspec-moved")
    registers_wh = sunspec.registers_wh(model.number, words)
    if registers_wh is None:
        raise MeterSilentError("no-value")
    return registers_wh
