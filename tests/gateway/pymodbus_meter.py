"""A Modbus TCP meter served by pymodbus, whose registers follow a script by civil time, with faults by seed."""

import asyncio
import random
import struct
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from commonwatt.clock import CivilClock

STEP_S = 900
FAULTS = ("exception", "timeout", "no value")
ORDINARY = 0.8
"""The share of steps without a fault."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a meter's registers hold in each step: they grow by eighths of a kWh, and once begin anew."""

    start_s: int
    steps: int
    seed: int
    resets: bool

    def registers_wh(self, time_s: float) -> tuple[int, int]:
        """Import and export in the step of an instant; the last step's for ever after."""
        return _rows(self)[min(max(int(time_s - self.start_s) // STEP_S, 0), self.steps)]

    @property
    def reset_at(self) -> int | None:
        """The step from which the registers count from 0 again."""
        return random.Random(self.seed).randrange(self.steps // 3, self.steps // 2) if self.resets else None

    def fault_at(self, time_s: float) -> str | None:
        """What goes wrong in the step of an instant; nothing after the end."""
        step = int(time_s - self.start_s) // STEP_S
        chance = random.Random(f"{self.seed} fault {step}")
        return None if step >= self.steps or chance.random() < ORDINARY else chance.choice(FAULTS)


@cache
def _rows(script: Script) -> list[tuple[int, int]]:
    """The registers of every step."""
    chance = random.Random(f"{script.seed} growth")
    rows = [(1_000_000, 2_000_000)]
    for step in range(1, script.steps + 1):
        before = (0, 0) if step == script.reset_at else rows[-1]
        rows.append((before[0] + 125 * chance.randint(0, 12), before[1] + 125 * chance.randint(0, 12)))
    return rows


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a type keeps its two registers, how a value is written, and what stands for none."""

    type: str
    function: int
    addresses: tuple[int, int]
    words: str
    wh_per_unit: int
    no_value: bytes

    def memory(self, value_wh: int | None) -> bytes:
        """The bytes of one register."""
        return self.no_value if value_wh is None else struct.pack(self.words, value_wh / self.wh_per_unit)


@dataclass(frozen=True, slots=True)
class WholeWh(Layout):
    """Registers in whole Wh."""

    def memory(self, value_wh: int | None) -> bytes:
        """The bytes of one register."""
        return self.no_value if value_wh is None else struct.pack(self.words, value_wh)


IEM3155 = WholeWh("schneider-iem3155", 3, (0x0C83, 0x0C87), ">q", 1, bytes.fromhex("8000000000000000"))
SDM230 = Layout("eastron-sdm230", 4, (0x0048, 0x004A), ">f", 1000, struct.pack(">f", float("nan")))


@dataclass
class PymodbusMeter:
    """Serves while its `with` lasts."""

    layout: Layout
    script: Script
    clock: CivilClock
    timeout_s: float
    port: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __enter__(self) -> "PymodbusMeter":
        ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(60)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        size = len(self.layout.memory(0)) // 2
        cells = [SimData(a, datatype=DataType.REGISTERS, values=[0] * size) for a in self.layout.addresses]
        server = ModbusTcpServer(SimDevice(1, simdata=cells, action=self._answer), address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        self.port = cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        await server.shutdown()  # type: ignore[no-untyped-call]

    async def _answer(
        self, function: int, start: int, _address: int, _count: int, memory: list[int], _values: Any
    ) -> ExcCodes | None:
        if function != self.layout.function:
            return ExcCodes.ILLEGAL_FUNCTION
        fault = self.script.fault_at(self.clock.now_s())
        self.asked[fault or "ok"] = self.asked.get(fault or "ok", 0) + 1
        if fault == "exception":
            return ExcCodes.DEVICE_FAILURE
        if fault == "timeout":
            await asyncio.sleep(2 * self.timeout_s)
        registers = self.script.registers_wh(self.clock.now_s())
        for address, value_wh in zip(self.layout.addresses, registers, strict=True):
            data = self.layout.memory(None if fault == "no value" else value_wh)
            words = struct.unpack(f">{len(data) // 2}H", data)
            memory[address - start : address - start + len(words)] = words
        return None
