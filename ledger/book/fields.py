"""Checks of single fields, shared by every parser here. Each returns the value or raises FormatError "malformed"."""

from typing import Any

from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE, KEY_SIZE
from commonwatt.units import INT64_MAX
from ledger.book.units import Unit

HASH_SIZE = 32
MEMO_BYTES_MAX = 256
REASON_BYTES_MAX = 256


def require(holds: bool, otherwise: str) -> None:
    """Raise FormatError "malformed" with this sentence unless `holds`."""
    if not holds:
        raise FormatError("malformed", otherwise)


def array(value: Any, count: int, what: str) -> list[Any]:
    """An array of exactly `count` items."""
    require(type(value) is list and len(value) == count, f"{what} is not an array of {count}")
    return list(value)


def items(value: Any, what: str, *, count_min: int = 0, count_max: int) -> list[Any]:
    """An array of `count_min` to `count_max` items."""
    require(type(value) is list, f"{what} is not an array")
    require(count_min <= len(value) <= count_max, f"{what} has not {count_min} to {count_max} items")
    return list(value)


def uint(value: Any, what: str, *, most: int = INT64_MAX, least: int = 0) -> int:
    """An unsigned integer; above 63 bits is malformed everywhere in the ledger, so sums of two fit in a check."""
    # bool is an int in Python but not in CBOR.
    require(type(value) is int and least <= value <= most, f"{what} is not an integer of {least} to {most}")
    return int(value)


def integer(value: Any, what: str) -> int:
    """An integer that may be negative, of 63 bits and a sign."""
    require(type(value) is int and abs(value) <= INT64_MAX, f"{what} is not an integer of 63 bits and a sign")
    return int(value)


def octets(value: Any, size: int, what: str) -> bytes:
    """A byte string of exactly `size` bytes."""
    require(type(value) is bytes and len(value) == size, f"{what} is not {size} bytes")
    return bytes(value)


def identifier(value: Any, what: str) -> bytes:
    """A 16-byte identifier."""
    return octets(value, ID_SIZE, what)


def account(value: Any, what: str) -> bytes:
    """An account: a holder's id, followed by the unit unless that is energy (units.py)."""
    require(type(value) is bytes and len(value) in (ID_SIZE, ID_SIZE + 1), f"{what} is not an account")
    if len(value) > ID_SIZE:
        require(Unit.EURO <= value[ID_SIZE] <= Unit.HOURS, f"{what} is in no unit that is written out")
    return bytes(value)


def public_key(value: Any, what: str) -> bytes:
    """32 bytes; whether they are a point that may sign is a rule, not a format."""
    return octets(value, KEY_SIZE, what)


def digest(value: Any, what: str) -> bytes:
    """A SHA-256."""
    return octets(value, HASH_SIZE, what)


def text(value: Any, what: str, *, bytes_max: int) -> str:
    """A text of at most `bytes_max` bytes of UTF-8."""
    require(type(value) is str and len(value.encode()) <= bytes_max, f"{what} is not a text of {bytes_max} bytes")
    return str(value)


def boolean(value: Any, what: str) -> bool:
    """true or false."""
    require(type(value) is bool, f"{what} is not a boolean")
    return bool(value)
