"""Tables of meters: which registers mean what. One TOML file per type, in hardware/meters.

    [[energy]]
    quantity = "1-0:1.8.0"
    address = 0x0C83            # on the wire
    words = "i64"
    order = "big"               # most significant word first
    unit = "Wh"
    no_value = ["8000000000000000"]

A mistake in a table would become wrong energy under a true signature, so tables are read strictly: each value has an
example, the words as they come over the wire and what the display shows then, which catches a wrong word order.

Rounding: a register becomes whole Wh by exact arithmetic (fractions), then down. A 32-bit float register is the exact
binary fraction it holds, never its decimal print; nothing is accumulated here, so no rounding error grows.
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
from commonwatt.quantities import BY_OBIS, HEAT
from commonwatt.settings import Settings
from commonwatt.units import INT64_MAX
from gateway.meters.lines import load, mistake_at

PACKAGED = Path(__file__).parents[1] / "meter_tables"
"""Where an installed gateway has the tables; a clone has them in hardware/meters."""
CLONED = Path(__file__).parents[2] / "hardware" / "meters"

Words = Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]
# Registers, and struct's letter for the big-endian bytes.
WORDS: dict[str, tuple[int, str]] = {
    "u16": (1, "H"), "i16": (1, "h"), "u32": (2, "I"), "i32": (2, "i"),
    "u64": (4, "Q"), "i64": (4, "q"), "f32": (2, "f"), "f64": (4, "d"),
}  # fmt: skip
ENERGY_UNITS: dict[str, Fraction] = {"Wh": Fraction(1), "kWh": Fraction(1000), "MWh": Fraction(10**6)}
EnergyUnit = Literal["Wh", "kWh", "MWh"]
ShownUnit = Literal["V", "A", "W", "kW", "VA", "var", "Hz", "°C", "m³", "m³/h", "1"]

ACCURACY_PERCENT: dict[str, Fraction] = {
    "EN 50470-3 class A": Fraction(2), "EN 50470-3 class B": Fraction(1), "EN 50470-3 class C": Fraction(1, 2),
    "EN 62053-21 class 1": Fraction(1), "EN 62053-22 class 0.5S": Fraction(1, 2), "EN 1434 class 2": Fraction(2),
    "EN 1434 class 3": Fraction(3),
}  # fmt: skip
"""What a meter of the class may be wrong by at its rated current and power factor 1; of heat meters, the sensor."""


def _obis(text: str) -> str:
    if text not in BY_OBIS:
        raise ValueError(f"unknown OBIS code, known are {', '.join(BY_OBIS)}")
    return text


def _hex(text: str) -> str:
    bytes.fromhex(text)
    return text.lower()


def _accuracy(text: str) -> str:
    if text not in ACCURACY_PERCENT:
        raise ValueError(f"unknown class, known are {', '.join(ACCURACY_PERCENT)}")
    return text


class Example(Settings):
    """Words as they come over the wire, first address first, and what a person then reads on the display."""

    words: Annotated[str, AfterValidator(_hex)]
    value: Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$")]


class Register(Settings):
    """A value in the meter's memory. `multiply_by` and `divide_by` are applied to the number before its unit."""

    address: Annotated[int, Field(ge=0, le=0xFFFF)]
    words: Words
    order: Literal["big", "little"]
    multiply_by: Annotated[int, Field(gt=0)] = 1
    divide_by: Annotated[int, Field(gt=0)] = 1
    no_value: tuple[Annotated[str, AfterValidator(_hex)], ...] = ()
    example: Example | None = None

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


IdentityWords = Annotated[str, Field(pattern=r"^([0-9a-fA-F]{4})+$"), AfterValidator(_hex)]


class Identity(Settings):
    """Registers by which a type is known: one of `words` stands there, as it comes over the wire."""

    function: Literal[3, 4]
    address: Annotated[int, Field(ge=0, le=0xFFFF)]
    words: Annotated[tuple[IdentityWords, ...], Field(min_length=1)]

    @property
    def request(self) -> "Request":
        """What is read to know it."""
        return Request(self.address, len(self.words[0]) // 4)

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if len({len(words) for words in self.words}) > 1:
            raise ValueError("the words of one identity are equally many")
        return self


class MeterTable(Settings):
    """One type of meter. The first keys say what it is; `energy` is what is signed, `shown` what people compare."""

    type: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    maker: str
    model: str
    data_sheet: Annotated[str, Field(pattern=r"^https://")]
    source: str
    function: Literal[3, 4]
    registers_max: Annotated[int, Field(ge=4, le=125)] = 64
    reads_across: Annotated[int, Field(ge=0, le=60)] = 0
    current_max_a: Annotated[int, Field(gt=0)] | None = None
    phases: Literal[1, 3] | None = None
    power_max_kw: Annotated[int, Field(gt=0)] | None = None
    accuracy: Annotated[str, AfterValidator(_accuracy)]
    is_mid: bool = False
    identity: tuple[Identity, ...] = ()
    energy: Annotated[tuple[EnergyRegister, ...], Field(min_length=1, max_length=8)]
    shown: tuple[ShownRegister, ...] = ()

    @model_validator(mode="after")
    def _rated(self) -> Self:
        electric = self.current_max_a is not None and self.phases is not None
        is_heat = self.energy[0].quantity == HEAT.obis
        if is_heat != (self.power_max_kw is not None) or is_heat == electric:
            raise ValueError("a heat meter is rated by power_max_kw, any other by current_max_a and phases")
        if is_heat != self.accuracy.startswith("EN 1434"):
            raise mistake_at(("accuracy",), "EN 1434 is for heat, and heat for EN 1434")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        last = 0
        for index, register in enumerate(self.energy):
            number = BY_OBIS[register.quantity].number
            if number <= last:
                raise mistake_at(("energy", index, "quantity"), "quantities ascend and appear once")
            last = number
        return self

    @model_validator(mode="after")
    def _apart(self) -> Self:
        end = 0
        for place, register in sorted(self._placed(), key=lambda pair: pair[1].address):
            if register.address < end:
                raise mistake_at((*place, "address"), f"the register at {register.address:#06x} overlaps another")
            end = register.span.stop
        return self

    @model_validator(mode="after")
    def _as_in_examples(self) -> Self:
        for place, register in self._placed():
            if register.example and not agrees(register, register.example):
                what = f"the example's words are not {register.example.value}: wrong order, words or scale?"
                raise mistake_at((*place, "example"), what)
        return self

    def _placed(self) -> list[tuple[tuple[str, int], Register]]:
        energy: list[tuple[tuple[str, int], Register]] = [(("energy", i), r) for i, r in enumerate(self.energy)]
        return energy + [(("shown", i), r) for i, r in enumerate(self.shown)]


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


def all_tables(directories: tuple[Path, ...] = ()) -> list[MeterTable]:
    """Every type there is, by name; the file of the first directory counts, as in `find`."""
    names = {path.stem for directory in (*directories, PACKAGED, CLONED) for path in directory.glob("*.toml")}
    return [find(name, directories) for name in sorted(names)]


def requests(registers: tuple[Register, ...], registers_max: int, reads_across: int = 0) -> list[Request]:
    """The fewest requests that read these registers.

    Those that touch are joined, others only over a hole of at most `reads_across` registers: many meters answer a
    request for a register that they do not have with an exception.
    """
    joined: list[Request] = []
    for register in sorted(registers, key=lambda register: register.address):
        if joined:
            last = joined[-1]
            hole, count = register.address - last.address - last.count, register.span.stop - last.address
            if hole <= reads_across and count <= registers_max:
                joined[-1] = Request(last.address, count)
                continue
        joined.append(Request(register.address, register.count))
    return joined


def energy_requests(table: MeterTable) -> list[Request]:
    """What is asked for the registers that are signed."""
    return requests(table.energy, table.registers_max, table.reads_across)


def value(register: Register, memory: Mapping[int, int]) -> int | float | None:
    """The number in the registers, or None where the meter says that there is none. `memory`: 16 bits by address."""
    raw = [memory[address] for address in register.span]
    data = b"".join(word.to_bytes(2, "big") for word in (raw if register.order == "big" else reversed(raw)))
    if data.hex() in register.no_value:
        return None
    (number,) = struct.unpack(f">{WORDS[register.words][1]}", data)
    assert isinstance(number, int | float)
    return number if math.isfinite(number) else None


def quantity(register: Register, memory: Mapping[int, int]) -> Fraction | None:
    """The exact value in the register's unit, or None where the meter says that there is none."""
    number = value(register, memory)
    return None if number is None else Fraction(number) * register.multiply_by / register.divide_by


def agrees(register: Register, example: Example) -> bool:
    """Whether the words give the value, to the last digit that the example has (a float holds more)."""
    if len(example.words) != 4 * register.count:
        return False
    words = [int(example.words[i : i + 4], 16) for i in range(0, len(example.words), 4)]
    exact = quantity(register, dict(zip(register.span, words, strict=True)))
    decimals = len(example.value.partition(".")[2])
    return exact is not None and abs(exact - Fraction(example.value)) <= Fraction(1, 2 * 10**decimals)


def energy_wh(register: EnergyRegister, memory: Mapping[int, int]) -> int | None:
    """The register in whole Wh, rounded down so that the next reading never runs backwards; None if there is none."""
    exact = quantity(register, memory)
    if exact is None or exact < 0:
        return None
    whole_wh = math.floor(exact * ENERGY_UNITS[register.unit])
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
