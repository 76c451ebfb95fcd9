"""Deterministic CBOR (RFC 8949 §4.2.1): one spelling per value, written here and demanded here.

MicroPython's dict keeps no order, so the encoder sorts map keys by their encoded bytes itself.
Integers, byte and text strings, arrays, maps, tags, false, true and null; no floats, no indefinite lengths.
"""

from node.port import const

_DEPTH_MAX = const(16)

_UINT = const(0)
_NEGATIVE = const(1)
_BYTES = const(2)
_TEXT = const(3)
_ARRAY = const(4)
_MAP = const(5)
_TAG = const(6)
_SIMPLE = {20: False, 21: True, 22: None}


class Tag:
    """A tagged value: `number` says how to read `value`."""

    def __init__(self, number, value):
        self.number = number
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Tag) and (self.number, self.value) == (other.number, other.value)

    def __hash__(self):
        return hash(self.number)


def encode(value):
    """The deterministic encoding of `value` as bytes; TypeError for what has none here."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


def decode(data):
    """The value that `data` spells; ValueError unless it is exactly one deterministic encoding."""
    reader = _Reader(data)
    value = reader.read(0)
    if reader.at != len(data):
        raise ValueError("bytes after the value")
    return value


def _write(out, value):
    if value is False or value is True:
        out.append(0xF5 if value else 0xF4)
    elif value is None:
        out.append(0xF6)
    elif isinstance(value, int):
        if value < 0:
            _write_head(out, _NEGATIVE, -1 - value)
        else:
            _write_head(out, _UINT, value)
    elif isinstance(value, (bytes, bytearray)):
        _write_head(out, _BYTES, len(value))
        out.extend(value)
    elif isinstance(value, str):
        text = value.encode()
        _write_head(out, _TEXT, len(text))
        out.extend(text)
    elif isinstance(value, (list, tuple)):
        _write_head(out, _ARRAY, len(value))
        for item in value:
            _write(out, item)
    elif isinstance(value, dict):
        _write_map(out, value)
    elif isinstance(value, Tag):
        _write_head(out, _TAG, value.number)
        _write(out, value.value)
    else:
        raise TypeError("no CBOR for this type")


def _write_map(out, value):
    _write_head(out, _MAP, len(value))
    for key, item in sorted((encode(key), item) for key, item in value.items()):
        out.extend(key)
        _write(out, item)


def _write_head(out, major, number):
    major <<= 5
    if number < 24:
        out.append(major | number)
        return
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            out.append(major | code)
            out.extend(number.to_bytes(size, "big"))
            return
    raise TypeError("integer beyond 64 bits")


class _Reader:
    """A cursor over the bytes; every way to spell a value but the deterministic one is a ValueError."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise ValueError("cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def head(self):
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if low < 24:
            return major, low
        if low > 27 or major == 7:
            raise ValueError("floats, simple values and indefinite lengths are not spoken here")
        size = 1 << (low - 24)
        number = int.from_bytes(self.take(size), "big")
        if number < (24 if size == 1 else 1 << (4 * size)):
            raise ValueError("not the shortest form")
        return major, number

    def read(self, depth):
        if depth > _DEPTH_MAX:
            raise ValueError("nested too deeply")
        major, number = self.head()
        if major == _UINT:
            return number
        if major == _NEGATIVE:
            return -1 - number
        if major == _BYTES:
            return bytes(self.take(number))
        if major == _TEXT:
            try:
                return str(bytes(self.take(number)), "utf-8")
            except UnicodeError:
                raise ValueError("not UTF-8") from None
        if major == _ARRAY:
            self.expect(number)
            return [self.read(depth + 1) for _ in range(number)]
        if major == _MAP:
            return self.read_map(number, depth)
        if major == _TAG:
            return Tag(number, self.read(depth + 1))
        if number not in _SIMPLE:
            raise ValueError("unknown simple value")
        return _SIMPLE[number]

    def read_map(self, size, depth):
        self.expect(2 * size)
        result = {}
        last = None
        for _ in range(size):
            start = self.at
            key = self.read(depth + 1)
            spelling = bytes(self.data[start : self.at])
            if last is not None and spelling <= last:
                raise ValueError("keys do not ascend")
            last = spelling
            if isinstance(key, (list, dict)):
                raise ValueError("a key of this type is not spoken here")
            result[key] = self.read(depth + 1)
        return result

    def expect(self, items):
        # Every item takes a byte at least: a length that cannot be true is refused before memory is asked for.
        if items > len(self.data) - self.at:
            raise ValueError("cut short")
