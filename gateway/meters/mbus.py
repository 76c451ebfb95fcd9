"""Heat meters that speak M-Bus (EN 13757-2 and -3): the answer to "send your data", as heat in whole Wh.

    68 F7 F7 68 08 11 72 17588506 2D2C 08 04 04 00 0000 | 0C 78 17588506 | 04 06 E7910000 | ... 98 16
                      id       KAM  v  heat              number            energy: 37,351 kWh

pyMeterBus takes the telegram apart (lengths, checksum, records). The value of a record we work out ourselves: the
library multiplies by floating-point powers of ten, and registers must be exact.
"""

import math
import struct
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import meterbus
from meterbus.exceptions import MBusError

from commonwatt.units import INT64_MAX

TELEGRAM_SIZE_MAX = 261
"""The longest telegram: 4 bytes of head, 255 of content, checksum and end."""
HEAT_MEDIA = {0x04, 0x0C, 0x0D}
"""Heat measured in the return, in the flow, and heat and cooling in one meter."""
STATUS_PERMANENT_ERROR = 0x08
"""A meter's own word that it must be replaced. Its other status bits (battery low, air in the pipe for a while)
do not touch what the register has counted."""

_BCD = {0x9: 1, 0xA: 2, 0xB: 3, 0xC: 4, 0xE: 6}
_INTEGER = {0x1: 1, 0x2: 2, 0x3: 3, 0x4: 4, 0x6: 6, 0x7: 8}
_REAL = 0x5
_JOULES_PER_WH = 3600
_FORWARD = b"\x3b"
"""Qualifies a unit: only what flows forward, as meters for heat and cooling count heat (0x3c is the cooling)."""


class MBusRefusal(Enum):
    """Why a telegram gives no heat."""

    MALFORMED = "malformed"
    NOT_HEAT = "not-heat"
    METER_ERROR = "meter-error"
    NO_VALUE = "no-value"


@dataclass(frozen=True, slots=True)
class Record:
    """One value of a telegram. `storage` 0 is now; `tariff` and `subunit` 0 are the whole meter."""

    function: int
    storage: int
    tariff: int
    subunit: int
    vif: bytes
    exact: Fraction | None

    @property
    def energy_wh(self) -> Fraction | None:
        """The value in Wh, or None if it is none, or no plain energy (a further code qualifies it)."""
        scale = _energy_scale_wh(self.vif)
        return None if scale is None or self.exact is None else self.exact * scale


@dataclass(frozen=True, slots=True)
class Telegram:
    """Who answered, and what."""

    identification: str
    manufacturer: str
    medium: int
    status: int
    records: tuple[Record, ...]


def parse(data: bytes) -> Telegram | MBusRefusal:
    """Take a telegram apart, its checksum proven."""
    if not _is_framed(data):
        return MBusRefusal.MALFORMED
    try:
        telegram = meterbus.load(data)
        header = telegram.body.bodyHeader
        parts = [(list(r.dib.parts), list(r.vib.parts), list(r.dataField.parts)) for r in telegram.records]
        manufacturer = str(header.manufacturer_field.decodeManufacturer)
        medium, status = header.measure_medium_field.parts[0], header.status_field.parts[0]
        identification = bytes(header.id_nr_field.parts)[::-1].hex()
    except (MBusError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        # The library checks lengths as it goes along and stumbles over bad ones in all of these ways.
        return MBusRefusal.MALFORMED
    records = tuple(_record(dib, vib, value) for dib, vib, value in parts if dib and vib)
    return Telegram(identification, manufacturer, medium, status, records)


def heat_wh(telegram: Telegram) -> int | MBusRefusal:
    """The meter's heat register in whole Wh, rounded down: the present value of the whole meter, unqualified."""
    if telegram.medium not in HEAT_MEDIA:
        return MBusRefusal.NOT_HEAT
    if telegram.status & STATUS_PERMANENT_ERROR:
        return MBusRefusal.METER_ERROR
    for record in telegram.records:
        is_now = (record.function, record.storage, record.tariff, record.subunit) == (0, 0, 0, 0)
        if is_now and _energy_scale_wh(record.vif) is not None:
            exact_wh = record.energy_wh
            if exact_wh is None or not 0 <= exact_wh <= INT64_MAX:
                return MBusRefusal.NO_VALUE
            return math.floor(exact_wh)
    return MBusRefusal.NO_VALUE


def ask(address: int, *, frame_bit: bool = True) -> bytes:
    """The short telegram REQ_UD2 that makes the meter at a primary address (0 to 250) answer."""
    assert 0 <= address <= 250
    control = 0x7B if frame_bit else 0x5B
    return bytes([0x10, control, address, (control + address) & 0xFF, 0x16])


def _is_framed(data: bytes) -> bool:
    """68 L L 68, L bytes, their sum, 16: the library does not insist on all of it."""
    if not 6 <= len(data) <= TELEGRAM_SIZE_MAX or data[0] != 0x68 or data[3] != 0x68 or data[-1] != 0x16:
        return False
    return data[1] == data[2] == len(data) - 6 and sum(data[4:-2]) & 0xFF == data[-2]


def _record(dib: list[int], vib: list[int], value: list[int]) -> Record:
    dif, extensions = dib[0], dib[1:]
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for index, extension in enumerate(extensions):
        storage |= (extension & 0x0F) << (1 + 4 * index)
        tariff |= (extension >> 4 & 3) << (2 * index)
        subunit |= (extension >> 6 & 1) << index
    return Record(dif >> 4 & 3, storage, tariff, subunit, bytes(vib), _exact(dif & 0x0F, bytes(value)))


def _exact(coding: int, data: bytes) -> Fraction | None:
    """The number in a record, or None for "no value", text, and what is damaged."""
    if coding in _INTEGER and len(data) == _INTEGER[coding]:
        number = int.from_bytes(data, "little", signed=True)
        return None if number == -(1 << (8 * len(data) - 1)) else Fraction(number)
    if coding in _BCD and len(data) == _BCD[coding]:
        digits = data[::-1].hex()
        sign = -1 if digits[0] == "f" else 1
        digits = digits[1:] if sign < 0 else digits
        return Fraction(sign * int(digits)) if digits.isdecimal() else None
    if coding == _REAL and len(data) == 4:
        (number_f,) = struct.unpack("<f", data)
        return Fraction(number_f) if math.isfinite(number_f) else None
    return None


def _energy_scale_wh(vif: bytes) -> Fraction | None:
    """What one of the value's units is in Wh; None if it is no energy, or energy with a condition."""
    if len(vif) > 1 and vif[0] & 0x80 and vif[0] < 0xF0 and vif[1:] == _FORWARD:
        vif = bytes([vif[0] & 0x7F])
    if len(vif) == 1 and vif[0] <= 0x07:
        return Fraction(10) ** (vif[0] - 3)
    if len(vif) == 1 and vif[0] <= 0x0F:
        return Fraction(10) ** (vif[0] - 8) / _JOULES_PER_WH
    if len(vif) == 2 and vif[0] == 0xFB and vif[1] in (0x00, 0x01):
        return Fraction(10) ** (vif[1] - 1) * 10**6
    if len(vif) == 2 and vif[0] == 0xFB and vif[1] in (0x08, 0x09):
        return Fraction(10) ** (vif[1] - 9) * 10**9 / _JOULES_PER_WH
    return None
