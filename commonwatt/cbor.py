"""Deterministic CBOR (RFC 8949 §4.2.1) with one spelling per value.

Maps of ours have unsigned integer keys only, for which cbor2's canonical order is the RFC's bytewise order.
A parser here caps the size, parses, re-encodes and compares, so that what was hashed is what was meant.
"""

from typing import Any

import cbor2

from commonwatt.errors import FormatError

DEPTH_MAX = 16


def encode(value: Any) -> bytes:
    """The one deterministic encoding of `value` (ints, bytes, texts, bools, None, lists, uint-keyed maps, tags)."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, *, size_max: int) -> Any:
    """The value that `data` spells, if it is the deterministic spelling.

    Raises FormatError with reason "too-large", "malformed" or "not-canonical", checked in this order.
    """
    if len(data) > size_max:
        raise FormatError("too-large", f"{len(data)} bytes, at most {size_max} are read")
    try:
        value = cbor2.loads(data, max_depth=DEPTH_MAX)
    except (cbor2.CBORDecodeError, ValueError, OverflowError) as error:
        raise FormatError("malformed", f"not CBOR: {error}") from error
    try:
        again = encode(value)
    except (cbor2.CBOREncodeError, ValueError, TypeError, OverflowError) as error:
        raise FormatError("not-canonical", f"cannot be encoded again: {error}") from error
    if again != data:
        raise FormatError("not-canonical", "the deterministic encoding of the same value has other bytes")
    return value
