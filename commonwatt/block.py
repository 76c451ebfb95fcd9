"""Blocks: what a device signs. Bytes and limits: docs/spec/block.cddl.

A block of two readings of one register, before signing (the increments are tag 64, uint8):

    [1, 7, h'00…', 1721001600, 900, 0, [[1, 1234567, 64(h'78')]]]
"""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cbor2

from commonwatt import block_shape, cbor, cose
from commonwatt.block_shape import Shape
from commonwatt.errors import FormatError
from commonwatt.identity import SigningKey
from commonwatt.quantities import QUANTITIES
from commonwatt.units import INT64_MAX, INTERVAL_S

VERSION = 1
SIGNED_SIZE_MAX = 1024
CHANNELS_MAX = 8
LINK_SIZE = 16
FIRST_LINK = bytes(LINK_SIZE)
AAD = cose.external_aad("block")

FLAG_POWER_LOST = 1
FLAG_TAMPER = 2
FLAG_REGISTER_REPLACED = 4
_FLAGS_ALL = 7

# RFC 8746: tag of a typed array, bytes per element, array type code; narrowest first.
_TYPED = ((64, 1, "B"), (69, 2, "H"), (70, 4, "I"))
_CODE_BY_TAG = {tag: (size, code) for tag, size, code in _TYPED}


@dataclass(frozen=True, slots=True)
class Channel:
    """One register over the block: its value at the start and its growth in each step, in whole Wh."""

    quantity: int
    base_wh: int
    increments_wh: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive readings of one device. `readings` are one more than `increments_wh`."""

    seq: int
    prev: bytes
    start_s: int
    step_s: int
    flags: int
    channels: tuple[Channel, ...]

    @property
    def end_s(self) -> int:
        """Time of the last reading."""
        return self.start_s + self.step_s * len(self.channels[0].increments_wh)

    def readings(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Time and the registers in channel order, at the start and after every step."""
        registers_wh = [channel.base_wh for channel in self.channels]
        yield self.start_s, tuple(registers_wh)
        for step in range(len(self.channels[0].increments_wh)):
            for index, channel in enumerate(self.channels):
                registers_wh[index] += channel.increments_wh[step]
            yield self.start_s + self.step_s * (step + 1), tuple(registers_wh)

    def encode(self) -> bytes:
        """The payload that is signed."""
        channels = [[c.quantity, c.base_wh, _typed_array(c.increments_wh)] for c in self.channels]
        return cbor.encode([VERSION, self.seq, self.prev, self.start_s, self.step_s, self.flags, channels])

    def sign(self, key: SigningKey) -> bytes:
        """The signed block as it travels."""
        return cose.sign1(self.encode(), key, AAD)


def link(signed: bytes) -> bytes:
    """What the next block names as `prev`: the first 16 bytes of SHA-256 of this one as sent."""
    return hashlib.sha256(signed).digest()[:LINK_SIZE]


def parse(payload: bytes) -> Block:
    """Read a payload strictly; FormatError "malformed" or "not-canonical" says what the specification forbids."""
    shape = block_shape.read(payload) if len(payload) <= SIGNED_SIZE_MAX else None
    return parse_generally(payload) if shape is None else _check(shape)


def parse_generally(payload: bytes) -> Block:
    """The same without the short way for the usual shape; it knows what is wrong with the others."""
    block = _check(_read(payload))
    if block.encode() != payload:
        raise FormatError("not-canonical", "increments are not in the narrowest type that fits")
    return block


def _read(payload: bytes) -> Shape:
    value = cbor.decode(payload, size_max=SIGNED_SIZE_MAX)
    try:
        version, seq, prev, start_s, step_s, flags, channels = value
    except (TypeError, ValueError) as error:
        raise FormatError("malformed", "a block is an array of seven") from error
    _require(type(version) is int and version == VERSION, f"version {version!r}, this reader knows {VERSION}")
    _require(_is_uint(seq), "seq is not an unsigned integer")
    _require(type(prev) is bytes and len(prev) == LINK_SIZE, "prev is not 16 bytes")
    _require(_is_uint(step_s), "step_s is not an unsigned integer")
    _require(_is_uint(start_s), "start_s is not an unsigned integer")
    _require(_is_uint(flags), "flags are not an unsigned integer")
    _require(type(channels) is list and 1 <= len(channels) <= CHANNELS_MAX, "not 1 to 8 channels")
    return Shape(seq, prev, start_s, step_s, flags, [_read_channel(channel) for channel in channels])


def _read_channel(value: Any) -> tuple[int, int, tuple[int, ...]]:
    _require(type(value) is list and len(value) == 3, "a channel is an array of three")
    quantity, base_wh, increments = value
    _require(_is_uint(quantity), "a quantity is an unsigned integer")
    _require(_is_uint(base_wh), "base_wh is not an unsigned 63-bit integer")
    return quantity, base_wh, _parse_typed_array(increments)


def _check(shape: Shape) -> Block:
    """What the fields must be to each other."""
    seq, prev, start_s, step_s, flags, channels = shape
    _require(step_s > 0 and INTERVAL_S % step_s == 0, "step_s does not divide 900")
    _require(start_s % step_s == 0, "start_s is not a multiple of step_s")
    _require(flags <= _FLAGS_ALL, "unknown flags")
    before = 0
    steps = len(channels[0][2])
    for quantity, base_wh, increments_wh in channels:
        _require(quantity in QUANTITIES, f"unknown quantity {quantity!r}")
        _require(quantity > before, "quantities are not strictly ascending")
        _require(base_wh + sum(increments_wh) <= INT64_MAX, "register beyond 63 bits")
        _require(len(increments_wh) == steps, "channels differ in length")
        before = quantity
    _require(start_s + step_s * steps <= INT64_MAX, "time beyond 64 bits")
    return Block(seq, prev, start_s, step_s, flags, tuple(Channel(*channel) for channel in channels))


def _typed_array(values: tuple[int, ...]) -> cbor2.CBORTag:
    largest = max(values, default=0)
    for tag, size, _code in _TYPED:
        if largest < 1 << (8 * size):
            return cbor2.CBORTag(tag, b"".join(value.to_bytes(size, "little") for value in values))
    raise ValueError(f"an increment of {largest} Wh does not fit 32 bits")


def _parse_typed_array(value: Any) -> tuple[int, ...]:
    _require(type(value) is cbor2.CBORTag and value.tag in _CODE_BY_TAG, "increments are not a typed array")
    size, code = _CODE_BY_TAG[value.tag]
    _require(type(value.value) is bytes and len(value.value) % size == 0, "increments have a torn element")
    return tuple(array(code, value.value))  # little-endian like every machine we run on; asserted in the tests


def _is_uint(value: object) -> bool:
    # bool is an int in Python but not in CBOR.
    return type(value) is int and 0 <= value <= INT64_MAX


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise FormatError("malformed", otherwise)
