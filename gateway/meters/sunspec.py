"""SunSpec inverters and meters: which models a device has, and what their registers mean.

At 40000 (or 0, or 50000) stand "SunS", then model 1 and further models, each headed by its number and length:

    40000: 5375 6e53 | 0001 0042 ... | 0067 0032 ... | ffff 0000        "SunS", 1 (66 words), 103 (50 words), end

A number is scaled by a power of ten that the device tells in a register of its own. Totals are read, never added up:
a real meter said 21,267,458 Wh in total while its phases added to 22,962,260. https://sunspec.org
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INT64_MAX

BASES = (40000, 0, 50000)
"""Where a map may begin, the usual place first."""
SUNS = (0x5375, 0x6E53)
END = 0xFFFF
MODELS_MAX = 32
"""More models than any device has: a device whose walk goes on is refused."""
SCALE_MAX = 10
"""The largest power of ten that the specification allows, either way."""

Read = Callable[[int, int], Awaitable[Sequence[int]]]
"""Reads `count` registers at an address; raises what the bus raises."""


class SunSpecRefusal(Enum):
    """Why a device is not read as SunSpec."""

    NO_MAP = "no-map"
    NO_COMMON_MODEL = "no-common-model"
    ENDLESS = "endless"
    NO_ENERGY = "no-energy"
    AMBIGUOUS = "ambiguous"


class SunSpecError(Exception):
    """A device that does not follow SunSpec, or whose energy register is not clear."""

    def __init__(self, refusal: SunSpecRefusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


class Kind(Enum):
    """Types of points: how many registers, signed or not, and which pattern means "not implemented"."""

    UINT16 = (1, False, 0xFFFF)
    INT16 = (1, True, 0x8000)
    ACC32 = (2, False, 0)  # an accumulator at 0 cannot be told from one that is missing: no value
    UINT64 = (4, False, 0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, slots=True)
class Point:
    """A value in a model. Offsets count from the model's number, in registers."""

    name: str
    offset: int
    kind: Kind
    scale_offset: int
    unit: str


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a device: its number, where it stands, and how many registers follow its header."""

    number: int
    address: int
    length: int


_INVERTER = (
    Point("W", 14, Kind.INT16, 15, "W"),
    Point("Hz", 16, Kind.UINT16, 17, "Hz"),
    Point("WH", 24, Kind.ACC32, 26, "Wh"),
)
_METER = (
    Point("Hz", 16, Kind.INT16, 17, "Hz"),
    Point("W", 18, Kind.INT16, 22, "W"),
    Point("TotWhExp", 38, Kind.ACC32, 54, "Wh"),
    Point("TotWhImp", 46, Kind.ACC32, 54, "Wh"),
)
_DER = (
    Point("W", 10, Kind.INT16, 116, "W"),
    Point("TotWhInj", 19, Kind.UINT64, 120, "Wh"),
    Point("TotWhAbs", 23, Kind.UINT64, 120, "Wh"),
)
POINTS: dict[int, tuple[Point, ...]] = {
    101: _INVERTER, 102: _INVERTER, 103: _INVERTER, 201: _METER, 202: _METER, 203: _METER, 204: _METER, 701: _DER,
}  # fmt: skip
MODULE = (
    Point("DCA", 19, Kind.UINT16, 2, "A"),
    Point("DCV", 20, Kind.UINT16, 3, "V"),
    Point("DCW", 21, Kind.UINT16, 4, "W"),
    Point("DCWH", 22, Kind.ACC32, 5, "Wh"),
)
"""Model 160: the first string of panels; the others follow 20 registers apart. Shown, never signed."""
STRINGS = 160
MODULE_WORDS = 20
MODULES_OFFSET = 8
MODULES_MAX = 24

ENERGY: dict[str, int] = {
    "TotWhImp": IMPORT.number, "TotWhAbs": IMPORT.number,
    "WH": EXPORT.number, "TotWhExp": EXPORT.number, "TotWhInj": EXPORT.number,
}  # fmt: skip
"""What is signed. What an inverter makes counts as export, as at a production meter."""


async def discover(read: Read) -> tuple[Model, ...]:
    """All models of a device, in order; SunSpecError if it has no map, or one without end."""
    for base in BASES:
        if tuple(await _read_or_nothing(read, base, 2)) == SUNS:
            return await _walk(read, base + 2)
    raise SunSpecError(SunSpecRefusal.NO_MAP)


async def _read_or_nothing(read: Read, address: int, count: int) -> Sequence[int]:
    """An address that a device does not have is answered with an exception: not an error, there is no map there."""
    try:
        return await read(address, count)
    except LookupError:
        return ()


async def _walk(read: Read, address: int) -> tuple[Model, ...]:
    models: list[Model] = []
    while len(models) <= MODELS_MAX and address < 0xFFFE:
        number, length = await read(address, 2)
        if number == END:
            return tuple(models)
        if not models and number != 1:
            raise SunSpecError(SunSpecRefusal.NO_COMMON_MODEL)
        models.append(Model(number, address, length))
        address += 2 + length
    raise SunSpecError(SunSpecRefusal.ENDLESS)


def metering(models: Sequence[Model], wanted: int | None = None) -> Model:
    """The model whose energy is signed. An inverter with a meter behind it has two: say which one is wanted."""
    found = [model for model in models if model.number in POINTS and wanted in (None, model.number)]
    if not found:
        raise SunSpecError(SunSpecRefusal.NO_ENERGY)
    if len(found) > 1:
        raise SunSpecError(SunSpecRefusal.AMBIGUOUS)
    return found[0]


def values(number: int, words: Sequence[int]) -> dict[str, Fraction | None]:
    """The points of a model that we know, exact; None where the device has none. `words` begin at its number."""
    return {point.name: _value(point, words, point.offset) for point in POINTS.get(number, ())}


def identity(words: Sequence[int]) -> tuple[str, str]:
    """Maker and model as model 1 tells them: 32 characters each, padded with zeros."""
    data = b"".join(word.to_bytes(2, "big") for word in words[2:34])
    maker, model = (part.rstrip(b"\x00 ").decode("latin-1") for part in (data[:32], data[32:64]))
    return maker, model


def modules(words: Sequence[int]) -> list[dict[str, Fraction | None]]:
    """The strings of panels of a model 160, for people."""
    count = min(words[MODULES_OFFSET], MODULES_MAX)
    starts = [index * MODULE_WORDS for index in range(count)]
    return [{point.name: _value(point, words, point.offset + start) for point in MODULE} for start in starts]


def registers_wh(number: int, words: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
    """The energy registers as (quantity, Wh), rounded down; None if one of them has no value.

    An accumulator at 0 is one that the device does not have, or has not begun: it is left out, and not said to be 0.
    """
    pairs = []
    for point in POINTS.get(number, ()):
        if point.name not in ENERGY or _is_unused(point, words):
            continue
        exact_wh = _value(point, words, point.offset)
        if exact_wh is None or exact_wh > INT64_MAX:
            return None
        pairs.append((ENERGY[point.name], math.floor(exact_wh)))
    return tuple(sorted(pairs)) or None


def _is_unused(point: Point, words: Sequence[int]) -> bool:
    end = point.offset + point.kind.value[0]
    return point.kind is Kind.ACC32 and end <= len(words) and not any(words[point.offset : end])


def _value(point: Point, words: Sequence[int], offset: int) -> Fraction | None:
    count, is_signed, missing = point.kind.value
    if offset + count > len(words) or point.scale_offset >= len(words):
        return None
    raw = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words[offset : offset + count]), "big")
    scale = _signed(words[point.scale_offset], 1)
    if raw == missing or abs(scale) > SCALE_MAX:
        return None
    return (_signed(raw, count) if is_signed else raw) * Fraction(10) ** scale


def _signed(raw: int, count: int) -> int:
    bits = 16 * count
    return raw - (1 << bits) if raw >> (bits - 1) else raw
