"""Pages of columns as docs/spec/pages.md describes them, read with cbor2 and plain whole numbers."""

from typing import Any

from commonwatt.demo.judge.signatures import read_cbor

_SIZES = {64: 1, 69: 2, 70: 4, 71: 8}


def read_page(data: bytes) -> list[dict[str, Any]]:
    """The rows of a page: by the name of the column a number, a byte string, or None where there is no value."""
    page: Any = read_cbor(data)
    count, columns = page
    values = {name: _values(count, *rest) for name, *rest in columns}
    return [{name: column[row] for name, column in values.items()} for row in range(count)]


def _values(count: int, base: int, data: Any, has_unknown: bool = False) -> list[Any]:
    if isinstance(data, bytes):
        return [data[at * base : (at + 1) * base] for at in range(count)]
    if not data.value:
        return [None if has_unknown else base] * count
    size = _SIZES[data.tag]
    elements = [int.from_bytes(data.value[at * size : (at + 1) * size], "little") for at in range(count)]
    return [None if has_unknown and element == 0 else base + element for element in elements]
