"""The demo's solar meter: a Modbus TCP server with the register map of a Schneider iEM3155.

    python -m commonwatt.demo.solar_meter --port 5020 --clock 1721606400@1790000000x1440 --device emhass-solar

It replays one device of registers.csv by civil time. What is simulated is the pin: the counters are measurements,
power is their slope, while voltage and frequency are constants because nobody recorded them. Addresses are those
on the wire (the data sheet's minus one), holding registers, most significant word first:

    0x0BB7 current L1 f32 A     0x0BED power L1 f32 kW      0x0C83 active energy import i64 Wh
    0x0BD3 voltage L1 f32 V     0x0BF3 power    f32 kW      0x0C87 active energy export i64 Wh
    0x0C25 frequency  f32 Hz
"""

import argparse
import asyncio
import signal
from bisect import bisect_right
from pathlib import Path
from typing import Any, cast

from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from commonwatt.clock import Civil, CivilClock
from commonwatt.demo.registers import REGISTERS_CSV, DeviceRegisters, read_registers
from commonwatt.errors import UserError
from commonwatt.quantities import EXPORT, IMPORT

READ_HOLDING_REGISTERS = 3
UNIT_ID = 1
VOLTAGE_V = 230.0
FREQUENCY_HZ = 50.0

CURRENT_L1, VOLTAGE_L1, POWER_L1, POWER, FREQUENCY = 0x0BB7, 0x0BD3, 0x0BED, 0x0BF3, 0x0C25
ENERGY_IMPORT, ENERGY_EXPORT = 0x0C83, 0x0C87
_FLOATS = (CURRENT_L1, VOLTAGE_L1, POWER_L1, POWER, FREQUENCY)
_COUNTERS = (ENERGY_IMPORT, ENERGY_EXPORT)


class SolarMeter:
    """The meter's memory as it stands at any instant of civil time."""

    def __init__(self, *, registers: DeviceRegisters, clock: Civil) -> None:
        self._registers = registers
        self._clock = clock

    def device(self) -> SimDevice:
        """The memory map; every request computes all of it for one instant, so no value is torn."""
        floats = [SimData(address, datatype=DataType.FLOAT32, values=0.0, readonly=True) for address in _FLOATS]
        counters = [SimData(address, datatype=DataType.INT64, values=0, readonly=True) for address in _COUNTERS]
        return SimDevice(UNIT_ID, simdata=floats + counters, action=self._refresh)

    def values(self, civil_s: float) -> dict[int, float | int]:
        """What the meter shows at an instant, by wire address."""
        power_w = self.power_w(civil_s)
        energies_wh = dict(zip(self._registers.quantities, self._registers.at(civil_s)[1], strict=True))
        return {
            CURRENT_L1: abs(power_w) / VOLTAGE_V,
            VOLTAGE_L1: VOLTAGE_V,
            POWER_L1: power_w / 1000,
            POWER: power_w / 1000,
            FREQUENCY: FREQUENCY_HZ,
            ENERGY_IMPORT: energies_wh.get(IMPORT.number, 0),
            ENERGY_EXPORT: energies_wh.get(EXPORT.number, 0),
        }

    def power_w(self, civil_s: float) -> float:
        """Mean power of the step that is being measured: import positive, export negative; 0 outside the data."""
        rows = self._registers.rows
        after = bisect_right(rows, civil_s, key=lambda row: row[0])
        if after in (0, len(rows)):
            return 0.0
        (start_s, start), (end_s, end) = rows[after - 1], rows[after]
        growth_wh = dict(
            zip(self._registers.quantities, (b - a for a, b in zip(start, end, strict=True)), strict=True)
        )
        net_wh = growth_wh.get(IMPORT.number, 0) - growth_wh.get(EXPORT.number, 0)
        return net_wh * 3600 / (end_s - start_s)

    async def _refresh(
        self, function_code: int, start: int, _address: int, _count: int, memory: list[int], _values: Any
    ) -> ExcCodes | None:
        # pymodbus copies the answer out of `memory` right after this, without giving way to another task.
        if function_code != READ_HOLDING_REGISTERS:
            return ExcCodes.ILLEGAL_FUNCTION
        for address, value in self.values(self._clock.now_s()).items():
            words = _words(value)
            memory[address - start : address - start + len(words)] = words
        return None


async def serve(meter: SolarMeter, *, port: int, stop: asyncio.Event) -> None:
    """Answer on 127.0.0.1 until `stop`; prints the port when it listens (0 takes a free one)."""
    server = ModbusTcpServer(meter.device(), address=("127.0.0.1", port))
    try:
        await server.serve_forever(background=True)
    except RuntimeError as error:
        raise UserError("the port is taken", where=f"127.0.0.1:{port}", to_do="name another --port") from error
    try:
        listener = cast(asyncio.Server, server.transport)  # what pymodbus keeps there once it listens
        bound = listener.sockets[0].getsockname()[1]
        print(f"listening on 127.0.0.1:{bound}", flush=True)
        await stop.wait()
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped


def _words(value: float | int) -> list[int]:
    kind = ModbusClientMixin.DATATYPE.FLOAT32 if isinstance(value, float) else ModbusClientMixin.DATATYPE.INT64
    return ModbusClientMixin.convert_to_registers(value, kind)


def main(arguments: list[str] | None = None) -> int:
    """Run the meter as a process of its own, until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A simulated Schneider iEM3155 that replays registers.csv.")
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--clock", default="", help="civil clock, CIVIL@WALLxFACTOR; default: wall time")
    parser.add_argument("--registers", type=Path, default=REGISTERS_CSV, help="a file like registers.csv")
    parser.add_argument("--device", default="emhass-solar", help="which device of the file to replay")
    options = parser.parse_args(arguments)
    try:
        registers = read_registers(options.registers)
        if options.device not in registers:
            raise UserError(f"has no device {options.device}", where=options.registers)
        meter = SolarMeter(registers=registers[options.device], clock=CivilClock.parse(options.clock))
        asyncio.run(_run(meter, options.port))
    except UserError as error:
        parser.exit(error.exit_code, f"{error}\n")
    return 0


async def _run(meter: SolarMeter, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(meter, port=port, stop=stop)


if __name__ == "__main__":
    raise SystemExit(main())
