"""Tables of meters: which registers mean what. One TOML file per type, in hardware/meters.

    [[energy]]
    quantity = "1-0:1.8.0"
    address = 0x0C83            # on the wire
    words = "i64"
    order = "big"               # most significant word first
    unit = "Wh"
    no_value = ["8000000000000000"]

A mistake in a table would become wrong energy under a true signature, so tables are read strictly.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from commonwatt.errors import UserError
from commonwatt.quantities import BY_OBIS
from commonwatt.settings import Settings, load
from commonwatt.units import INT64_MAX

PACKAGED = Path(__file__).parent / "meter_tables"
"""Where an installed gateway has the tables; a clone has them in hardware/meters."""
CLONED = Path(__file__).parents[1] / "hardware" / "meters"

Words = Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]
# Registers, and struct's letter for the big-endian bytes.
WORDS: dict[str, tuple[int, str]] = {
    "u16": (1, "H"), "i16": (1, "h"), "u32": (2, "I"), "i32": (2, "i"),
    "u64": (4, "Q"), "i64": (4, "q"), "f32": (2, "f"), "f64": (4, "d"),
}  # fmt: skip
ENERGY_UNITS: dict[str, Fraction] = {"Wh": Fraction(1), "kWh": Fraction(1000), "MWh": Fraction(10**6)}
EnergyUnit = Literal["Wh", "kWh", "MWh"]
ShownUnit = Literal["V", "A", "W", "kW", "VA", "var", "Hz", "1"]


def _obis(text: str) -> str:
    if text not in BY_OBIS:
        raise ValueError(f"unknown OBIS code, known are {', '.join(BY_OBIS)}")
    return text


def _hex(text: str) -> str:
    bytes.fromhex(text)
    return text.lower()


class Register(Settings):
    """A value in the meter's memory. `divide_by` is applied to the number before its unit."""

    address: Annotated[int, Field(ge=0, le=0xFFFF)]
    words: Words
    order: Literal["big", "little"]
    divide_by: Annotated[int, Field(gt=0)] = 1
    no_value: tuple[Annotated[str, AfterValidator(_hex)], ...] = ()

    @property
    def count(self) -> int:
        """How many 16-bit registers it takes."""
        return WORDS[self.words][0]

    @property
    def span(self) -> range:
        """The addresses it takes."""
        return range(self.address, self.address + self.count)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.span.stop > 0x10000:
            raise ValueError("ends beyond address 0xFFFF")
        if any(len(pattern) != 4 * self.count for pattern in self.no_value):
            raise ValueError(f"a no_value of {self.words} has {4 * self.count} hexadecimal digits")
        return self


class EnergyRegister(Register):
    """A cumulative register that is signed."""

    quantity: Annotated[str, AfterValidator(_obis)]
    unit: EnergyUnit


class ShownRegister(Register):
    """A value for people only."""

    name: str
    unit: ShownUnit


class MeterTable(Settings):
    """One type of meter. The first keys say what it is; `energy` is what is signed, `shown` what people compare."""

    type: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    maker: str
    model: str
    data_sheet: Annotated[str, Field(pattern=r"^https://")]
    source: str
    function: Literal[3, 4]
    registers_max: Annotated[int, Field(ge=4, le=125)] = 64
    current_max_a: Annotated[int, Field(gt=0)]
    phases: Literal[1, 3]
    accuracy: str
    energy: Annotated[tuple[EnergyRegister, ...], Field(min_length=1, max_length=8)]
    shown: tuple[ShownRegister, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        numbers = [BY_OBIS[register.quantity].number for register in self.energy]
        if numbers != sorted(set(numbers)):
            raise ValueError("energy: quantities ascend and appear once")
        ends = 0
        for register in sorted((*self.energy, *self.shown), key=lambda register: register.address):
            if register.address < ends:
                raise ValueError(f"the register at {register.address:#06x} overlaps the one before it")
            ends = register.span.stop
        return self


@dataclass(frozen=True, slots=True)
class Request:
    """Registers that are read at once."""

    address: int
    count: int


def find(type_name: str, directories: tuple[Path, ...] = ()) -> MeterTable:
    """The table of a type, looked for in `directories` first; UserError says what is wrong, with file and place."""
    for directory in (*directories, PACKAGED, CLONED):
        path = directory / f"{type_name}.toml"
        if path.is_file():
            table = load(MeterTable, path)
            if table.type != type_name:
                raise UserError(f"type: is {table.type!r}, but the file is named otherwise", where=path)
            return table
    known = sorted({path.stem for directory in (*directories, PACKAGED, CLONED) for path in directory.glob("*.toml")})
    raise UserError(f"no table for the meter type {type_name!r}", to_do=f"known types: {', '.join(known)}")


def requests(registers: tuple[Register, ...], registers_max: int) -> list[Request]:
    """The fewest requests that read these registers; only touching ones are joined, holes may not be readable."""
    joined: list[Request] = []
    for register in sorted(registers, key=lambda register: register.address):
        last = joined[-1] if joined else None
        if last and last.address + last.count == register.address and last.count + register.count <= registers_max:
            joined[-1] = Request(last.address, last.count + register.count)
        else:
            joined.append(Request(register.address, register.count))
    return joined


def value(register: Register, memory: Mapping[int, int]) -> int | float | None:
    """The number in the registers, or None where the meter says that there is none. `memory`: 16 bits by address."""
    raw = [memory[address] for address in register.span]
    data = b"".join(word.to_bytes(2, "big") for word in (raw if register.order == "big" else reversed(raw)))
    if data.hex() in register.no_value:
        return None
    (number,) = struct.unpack(f">{WORDS[register.words][1]}", data)
    assert isinstance(number, int | float)
    return number if math.isfinite(number) else None


def energy_wh(register: EnergyRegister, memory: Mapping[int, int]) -> int | None:
    """The register in whole Wh, rounded down so that the next reading never runs backwards; None if there is none."""
    number = value(register, memory)
    if number is None or number < 0:
        return None
    exact_wh = Fraction(number) * ENERGY_UNITS[register.unit] / register.divide_by
    whole_wh = math.floor(exact_wh)
    return whole_wh if whole_wh <= INT64_MAX else None


def registers_wh(table: MeterTable, memory: Mapping[int, int]) -> tuple[tuple[int, int], ...] | None:
    """All energy registers as (quantity, Wh), or None if the meter has no value for one of them."""
    pairs = []
    for register in table.energy:
        register_wh = energy_wh(register, memory)
        if register_wh is None:
            return None
        pairs.append((BY_OBIS[register.quantity].number, register_wh))
    return tuple(pairs)
