"""Looks for meters on a bus: who answers, and which type it may be. Reads only, one request at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.meters import fitting, mbus, sunspec, sunspec_bus, tables
from gateway.meters.fitting import Fit
from gateway.meters.mbus_bus import MBusBus
from gateway.meters.modbus import ModbusLine
from gateway.meters.serial_line import open_serial
from gateway.meters.silence import MeterSilentError
from gateway.meters.sunspec import SunSpecError
from gateway.meters.tables import MeterTable, Request
from gateway.meters.tic import Mode, Reader
from gateway.settings import HEAT, LINKY, SUNSPEC, BusSettings

TIC_S = 6.0
"""At 1,200 baud a frame of a Linky takes two seconds: in this time two have come."""
NOBODY = ("exception-10", "exception-11")
"""A converter's word that no meter is at this address."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that answered. `type` is "" where nothing is known that reads it; `alike` are as likely."""

    unit: int
    type: str
    why: str
    alike: tuple[str, ...] = ()
    model: int | None = None
    registers: tuple[tuple[int, int], ...] = ()


Tell = Callable[[str], None]
"""Says how far the scan is, for the person who waits."""


async def scan(bus: BusSettings, units: Iterable[int], library: Sequence[MeterTable], *, tell: Tell) -> list[Found]:
    """Everything that answers on a bus; MeterSilentError("no-connection") if the bus itself cannot be reached."""
    if bus.kind == "tic":
        return await _scan_tic(bus)
    if bus.kind in ("mbus-serial", "mbus-over-tcp"):
        return [found async for found in _scan_mbus(bus, units, tell)]
    return [found async for found in _scan_modbus(bus, units, library, tell)]


async def _scan_modbus(
    bus: BusSettings, units: Iterable[int], library: Sequence[MeterTable], tell: Tell
) -> AsyncIterator[Found]:
    line = ModbusLine(bus)
    seen: set[tuple[tuple[int, int], ...]] = set()
    try:
        for unit in units:
            found = await _look_at(line, unit, library)
            if found is None:
                continue
            # Some meters in the network answer under every number: the same registers are the same meter.
            if bus.kind == "modbus-tcp" and any(wh for _, wh in found.registers):
                if found.registers in seen:
                    continue
                seen.add(found.registers)
            tell(f"{bus.place}, unit {unit}: {found.type or '?'} ({found.why})")
            yield found
    finally:
        line.close()
        await asyncio.sleep(0)


async def _look_at(line: ModbusLine, unit: int, library: Sequence[MeterTable]) -> Found | None:
    try:
        await line.read(3, unit, [Request(0, 2)])
    except MeterSilentError as silence:
        if silence.reason == "no-connection":
            raise
        if silence.reason == "no-answer" or silence.reason in NOBODY:
            return None
        if not silence.reason.startswith("exception-"):
            return Found(unit, "", silence.reason)
    unit_reader = _UnitReader(line, unit)
    for look in (unit_reader.by_identity, unit_reader.by_sunspec, unit_reader.by_fit):
        found = await look(library)
        if found is not None:
            return found
    return Found(unit, "", "answers, but no table makes sense of its registers")


class _UnitReader:
    """Asks one unit once for each thing."""

    def __init__(self, line: ModbusLine, unit: int) -> None:
        self._line = line
        self._unit = unit
        self._answers: dict[tuple[int, Request], dict[int, int] | None] = {}

    async def by_identity(self, library: Sequence[MeterTable]) -> Found | None:
        """By the registers that name its type, or by what it calls itself."""
        for table in library:
            for identity in table.identity:
                memory = await self._read(identity.function, [identity.request])
                if memory is not None and _words(memory, identity.request) in identity.words:
                    energy = await self._energy(table)
                    return Found(self._unit, table.type, "by its identity register", registers=energy)
        try:
            text = await self._line.identification(self._unit)
        except MeterSilentError:
            text = ""
        names = fitting.named(text, library) if text else []
        if not names:
            return None
        table = next(table for table in library if table.type == names[0])
        energy = await self._energy(table)
        return Found(self._unit, names[0], f"it calls itself {text!r}", tuple(names[1:]), registers=energy)

    async def by_sunspec(self, library: Sequence[MeterTable]) -> Found | None:
        """By the marker of a SunSpec map."""
        read = sunspec_bus.reader(self._line, self._unit)
        try:
            models = await sunspec.discover(read)
            maker, model = sunspec.identity(await read(models[0].address, 66))
        except (SunSpecError, LookupError, MeterSilentError, IndexError):
            return None
        metering = [found.number for found in models if found.number in sunspec.POINTS]
        who = " ".join(part for part in ("SunSpec", maker, model) if part)
        if not metering:
            return Found(self._unit, "", f"{who}, without an energy register that we know")
        others = tuple(f"model = {number}" for number in metering[1:])
        wanted = next(found for found in models if found.number == metering[0])
        try:
            energy = await sunspec_bus.read_energy(self._line, self._unit, wanted)
        except MeterSilentError:
            energy = ()
        return Found(self._unit, SUNSPEC, who, others, metering[0] if others else None, energy)

    async def by_fit(self, library: Sequence[MeterTable]) -> Found | None:
        """By the tables that make sense of its registers."""
        fits: dict[str, Fit] = {}
        energy: dict[str, tuple[tuple[int, int], ...]] = {}
        for table in library:
            memory = await self._read(
                table.function, tables.requests((*table.energy, *table.shown), table.registers_max)
            )
            found = fitting.fit(table, memory) if memory is not None else None
            if memory is not None and found is not None:
                fits[table.type] = found
                energy[table.type] = tables.registers_wh(table, memory) or ()
        names = fitting.best(fits)
        if not names:
            return None
        shown = fits[names[0]].likely
        why = f"its registers fit: {shown} of voltage and frequency are as mains is"
        return Found(self._unit, names[0], why, tuple(names[1:]), registers=energy[names[0]])

    async def _energy(self, table: MeterTable) -> tuple[tuple[int, int], ...]:
        memory = await self._read(table.function, tables.requests(table.energy, table.registers_max))
        return (tables.registers_wh(table, memory) if memory is not None else None) or ()

    async def _read(self, function: int, requests: list[Request]) -> dict[int, int] | None:
        """All of the requests, or None as soon as one is refused; what was refused is not asked twice."""
        memory: dict[int, int] = {}
        for request in requests:
            key = (function, request)
            if key not in self._answers:
                try:
                    self._answers[key] = await self._line.read(function, self._unit, [request])
                except MeterSilentError:
                    self._answers[key] = None
            answer = self._answers[key]
            if answer is None:
                return None
            memory |= answer
        return memory


def _words(memory: dict[int, int], request: Request) -> str:
    return "".join(f"{memory[address]:04x}" for address in range(request.address, request.address + request.count))


async def _scan_mbus(bus: BusSettings, units: Iterable[int], tell: Tell) -> AsyncIterator[Found]:
    opened = MBusBus(bus)
    try:
        for unit in units:
            try:
                telegram = await opened.telegram(unit)
            except MeterSilentError as silence:
                if silence.reason == "no-connection":
                    raise
                if silence.reason != "no-answer":
                    yield Found(unit, "", silence.reason)
                continue
            who = f"{telegram.manufacturer} {telegram.identification}"
            is_heat = telegram.medium in mbus.HEAT_MEDIA
            tell(f"{bus.place}, address {unit}: {who}")
            yield Found(unit, HEAT if is_heat else "", who if is_heat else f"{who}, not a heat meter")
    finally:
        opened.close()
        await asyncio.sleep(0)


async def _scan_tic(bus: BusSettings) -> list[Found]:
    """Whether good groups come in the bus's mode."""
    assert bus.serial is not None
    assert bus.mode is not None
    try:
        line = await open_serial(
            bus.serial, baud=bus.line_baud, bits=7, parity=bus.line_parity, stop_bits=bus.stop_bits
        )
    except OSError as error:
        raise MeterSilentError("no-connection") from error
    reader = Reader(Mode[bus.mode.upper()])
    try:
        async with asyncio.timeout(TIC_S):
            while not reader.frames:
                reader.feed(await line.read())
    except TimeoutError:
        return []
    except OSError as error:
        raise MeterSilentError("no-connection") from error
    finally:
        line.close()
        await asyncio.sleep(0)
    return [Found(1, LINKY, f"frames in mode {bus.mode}")] if reader.good else []
