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
SWAPPED = "swapped words"
FAULTS = ("exception", "timeout", "no value", "all ones", "another unit's answer")
ORDINARY = 0.8
"""The share of steps without a fault."""
SWAPPED_EVERY = 16
"""Steps between answers in a wrong word order: twice in a row would be a meter that was replaced."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a type keeps its two registers, how a value is written, and what stands for none."""

    type: str
    function: int
    addresses: tuple[int, int]
    words: str
    wh_per_unit: int
    no_value: bytes
    is_little: bool = False
    """Least significant word first."""

    @property
    def is_float(self) -> bool:
        """Whether a wrong word order gives some tiny number; a whole one becomes far too large."""
        return self.words.endswith("f")

    def memory(self, value_wh: int) -> bytes:
        """The bytes of one register."""
        data = struct.pack(self.words, value_wh / self.wh_per_unit if self.is_float else value_wh // self.wh_per_unit)
        return swapped(data) if self.is_little else data


def swapped(data: bytes) -> bytes:
    """The same words from the other end."""
    return b"".join(data[at : at + 2] for at in range(len(data) - 2, -1, -2))


IEM3155 = Layout("schneider-iem3155", 3, (0x0C83, 0x0C87), ">q", 1, bytes.fromhex("8000000000000000"))
SDM230 = Layout("eastron-sdm230", 4, (0x0048, 0x004A), ">f", 1000, struct.pack(">f", float("nan")))
EM340 = Layout("carlo-gavazzi-em340", 4, (0x0034, 0x004E), ">i", 100, bytes.fromhex("ffff7fff"), is_little=True)
EM340_TURN_WH = (1 << 31) * 100
"""Where an EM340's registers begin again at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a meter's registers hold in each step: they grow by `unit_wh`s, and may be reset or roll over once."""

    start_s: int
    steps: int
    seed: int
    unit_wh: int = 125
    resets: bool = False
    rolls_over_at_wh: int | None = None
    """The import register passes this number about half way."""
    swaps: bool = False
    """Whether some answers come in a wrong word order."""

    def registers_wh(self, time_s: float) -> tuple[int, int]:
        """Import and export in the step of an instant; the last step's for ever after."""
        return _rows(self)[min(max(int(time_s - self.start_s) // STEP_S, 0), self.steps)]

    @property
    def falls_at(self) -> int | None:
        """The step in which the import register begins again, by a reset or a roll-over."""
        rows = _rows(self)
        return next((step for step in range(1, self.steps + 1) if rows[step][0] < rows[step - 1][0]), None)

    def fault_at(self, time_s: float) -> str | None:
        """What goes wrong in the step of an instant; nothing after the end."""
        step = int(time_s - self.start_s) // STEP_S
        chance = random.Random(f"{self.seed} fault {step}")
        if step >= self.steps:
            return None
        if self.swaps and step % SWAPPED_EVERY == 0:
            return SWAPPED
        return None if chance.random() < ORDINARY else chance.choice(FAULTS)


@cache
def _rows(script: Script) -> list[tuple[int, int]]:
    """The registers of every step."""
    chance = random.Random(f"{script.seed} growth")
    turn_wh = script.rolls_over_at_wh
    reset_at = random.Random(script.seed).randrange(script.steps // 3, script.steps // 2) if script.resets else None
    rows = [(1_000_000 if turn_wh is None else turn_wh - 3 * script.unit_wh * script.steps, 2_000_000)]
    for step in range(1, script.steps + 1):
        before = (0, 0) if step == reset_at else rows[-1]
        import_wh, export_wh = (register + script.unit_wh * chance.randint(0, 12) for register in before)
        rows.append((import_wh if turn_wh is None else import_wh % turn_wh, export_wh))
    return rows


@dataclass
class PymodbusMeter:
    """Serves while its `with` lasts, and is plugged in."""

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

    def unplug(self) -> None:
        """Nobody listens there any more."""
        asyncio.run_coroutine_threadsafe(self._unplug(), self._loop).result(60)

    def plug(self) -> None:
        """The same meter at the same place."""
        asyncio.run_coroutine_threadsafe(self._plug(), self._loop).result(60)

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        await self._plug()
        ready.set()
        await self._stop.wait()
        await self._unplug()

    async def _plug(self) -> None:
        first, last = self.layout.addresses
        count = last - first + len(self.layout.memory(0)) // 2
        cells = [SimData(first, datatype=DataType.REGISTERS, values=[0] * count)]
        device = SimDevice(1, simdata=cells, action=self._answer)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port), trace_packet=self._carry)
        await self._server.serve_forever(background=True)
        self.port = cast(asyncio.Server, self._server.transport).sockets[0].getsockname()[1]

    async def _unplug(self) -> None:
        await self._server.shutdown()  # type: ignore[no-untyped-call]

    def _carry(self, is_sent: bool, data: bytes) -> bytes:
        """The line: in some steps another meter answers what this one was asked."""
        if is_sent and self.script.fault_at(self.clock.now_s()) == "another unit's answer":
            return data[:6] + bytes([data[6] + 1]) + data[7:]
        return data

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
            data = self._told(fault, self.layout.memory(value_wh))
            words = struct.unpack(f">{len(data) // 2}H", data)
            memory[address - start : address - start + len(words)] = words
        return None

    def _told(self, fault: str | None, data: bytes) -> bytes:
        """What stands in a register that holds `data`."""
        if fault == "no value":
            return self.layout.no_value
        if fault == "all ones":
            return b"\xff" * len(data)
        return swapped(data) if fault == SWAPPED else data
