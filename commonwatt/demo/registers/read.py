"""Read registers.csv: one row per device, quantity and quarter hour, registers in whole Wh.

device,quantity,time_s,register_wh
swiss1,1,1721606400,23190871
"""

import csv
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from commonwatt.errors import UserError

HEADER = ["device", "quantity", "time_s", "register_wh"]
REGISTERS_CSV = Path(__file__).with_name("registers.csv")

Row = tuple[int, tuple[int, ...]]
"""A time (Unix seconds UTC) and the registers (Wh) in the order of the device's quantities."""


@dataclass(frozen=True, slots=True)
class DeviceRegisters:
    """All registers of one device: quantities ascend, rows ascend in time, every row has every quantity."""

    name: str
    quantities: tuple[int, ...]
    rows: tuple[Row, ...]

    def at(self, civil_s: float) -> Row:
        """The last row at or before an instant; the first row before there is one."""
        index = bisect_right(self.rows, civil_s, key=lambda row: row[0])
        return self.rows[max(0, index - 1)]


def read_registers(path: Path = REGISTERS_CSV) -> dict[str, DeviceRegisters]:
    """Every device of the file by name, in the file's order. UserError names what is wrong with the file."""
    table: dict[str, dict[int, dict[int, int]]] = {}  # device → time → quantity → register
    try:
        with path.open(newline="", encoding="ascii") as file:
            reader = csv.reader(file)
            if next(reader, None) != HEADER:
                raise UserError(f"the first line is not {','.join(HEADER)}", where=path)
            for device, quantity, time_s, register_wh in reader:
                table.setdefault(device, {}).setdefault(int(time_s), {})[int(quantity)] = int(register_wh)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as registers: {error}", where=path) from error
    return {name: _registers(name, times, path) for name, times in table.items()}


def _registers(name: str, times: dict[int, dict[int, int]], path: Path) -> DeviceRegisters:
    quantities = tuple(sorted({quantity for registers in times.values() for quantity in registers}))
    if any(len(registers) != len(quantities) for registers in times.values()):
        raise UserError(f"{name} has times with only some of its registers", where=path)
    rows = tuple((time_s, tuple(times[time_s][quantity] for quantity in quantities)) for time_s in sorted(times))
    return DeviceRegisters(name, quantities, rows)
