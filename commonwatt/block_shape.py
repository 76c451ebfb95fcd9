"""Reads the usual block at one glance: its deterministic CBOR has one shape, which a pattern knows byte by byte.

A general parser decodes, encodes again and compares, and takes a third as long as verifying the signature. What
matches here is exactly what that parser accepts, with the same values; whatever does not match is left to it, which
also says why. tests/commonwatt/test_block_shape.py holds the two to each other.
"""

import re
from array import array
from typing import NamedTuple

# An unsigned integer below 2**63 in its shortest form (RFC 8949 §4.2.1).
_UINT = rb"([\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff].|\x1a(?!\0\0).{4}|\x1b(?!\0\0\0\0)[\x00-\x7f].{7})"
_HEAD = re.compile(rb"\x87\x01" + _UINT + rb"\x50(.{16})" + _UINT + _UINT + rb"([\x00-\x07])([\x81-\x88])", re.DOTALL)
_CHANNEL = re.compile(
    rb"\x83" + _UINT + _UINT + rb"\xd8([\x40\x45\x46])(?:([\x40-\x57])|\x58([\x18-\xff])|\x59([\x01-\xff].))",
    re.DOTALL,
)
_TYPES = {b"\x40": (1, "B", 0), b"\x45": (2, "H", 1 << 8), b"\x46": (4, "I", 1 << 16)}
"""RFC 8746 by tag: bytes per element, array type code, and what the largest element must reach."""


class Shape(NamedTuple):
    """The fields of a block; `channels`: quantity, base_wh and increments_wh of each."""

    seq: int
    prev: bytes
    start_s: int
    step_s: int
    flags: int
    channels: list[tuple[int, int, tuple[int, ...]]]


def read(payload: bytes) -> Shape | None:
    """The fields of a deterministically spelled array of a block's shape, or None. Their meaning is not checked."""
    head = _HEAD.match(payload)
    if head is None:
        return None
    seq, prev, start_s, step_s, flags, count = head.groups()
    at = head.end()
    channels = []
    for _channel in range(count[0] & 0x0F):
        found = _CHANNEL.match(payload, at)
        if found is None:
            return None
        quantity, base_wh, tag, *sizes = found.groups()
        size = _size(sizes)
        increments_wh = _increments(tag, payload[found.end() : found.end() + size], size)
        if increments_wh is None:
            return None
        channels.append((_uint(quantity), _uint(base_wh), increments_wh))
        at = found.end() + size
    if at != len(payload):
        return None
    return Shape(_uint(seq), prev, _uint(start_s), _uint(step_s), flags[0], channels)


def _uint(spelled: bytes) -> int:
    return spelled[0] if len(spelled) == 1 else int.from_bytes(spelled[1:], "big")


def _size(sizes: list[bytes | None]) -> int:
    """How long a byte string is, from its head in one of three spellings."""
    tiny, short, long = sizes
    if tiny is not None:
        return tiny[0] & 0x1F
    return int.from_bytes(short or long or b"", "big")


def _increments(tag: bytes, data: bytes, size: int) -> tuple[int, ...] | None:
    """The elements, if they are whole and need no narrower type."""
    element_size, code, largest_min = _TYPES[tag]
    if len(data) != size or size % element_size:
        return None
    values = tuple(array(code, data))
    return values if max(values, default=0) >= largest_min else None
