"""A page: columns of one length as bytes, each as narrow as its values allow (docs/spec/pages.md). Pure.

Three rows of two columns, `energy_wh` 1000, 1003, 1001 and `device` 7, 7, 7:

    [3, [["energy_wh", 1000, 64(h'000301')], ["device", 7, 64(h'')]]]
"""

from collections.abc import Mapping
from typing import Any

import cbor2
import numpy as np
from numpy.typing import NDArray

from commonwatt.errors import FormatError

Integers = NDArray[np.int64]
Octets = NDArray[np.uint8]
Column = Integers | Octets

UNKNOWN = int(np.iinfo(np.int64).min)
"""In a column of integers: there is no value in this row."""

ROWS_MAX = 65_536
"""Rows of one page: few enough to be read for a look at one of them."""

CELLS_MAX = 2**25
"""Rows times columns of what is read at all: a column of one value takes no bytes, whatever rows it claims."""

_TYPES: dict[int, np.dtype[Any]] = {
    64: np.dtype("<u1"),
    69: np.dtype("<u2"),
    70: np.dtype("<u4"),
    71: np.dtype("<u8"),
}
"""RFC 8746 tags of typed arrays, narrowest first."""


def encode(columns: Mapping[str, Column]) -> bytes:
    """The page of columns of one length: int64, or rows of bytes (n, size)."""
    count = len(next(iter(columns.values())))
    assert all(len(column) == count for column in columns.values())
    return cbor2.dumps([count, [[name, *_encoded(column)] for name, column in columns.items()]])


def decode(data: bytes) -> dict[str, Any]:
    """The columns of a page that `encode` wrote, by name; arrays that may not be written to. FormatError "malformed"
    or "too-large" for anything else."""
    try:
        count, columns = cbor2.loads(data)
        if not 0 <= count * len(columns) <= CELLS_MAX:
            raise FormatError("too-large", f"a page has at most {CELLS_MAX} cells")
        return {str(name): _decoded(count, rest) for name, *rest in columns}
    except (cbor2.CBORDecodeError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise FormatError("malformed", f"not a page of columns: {error}") from error


def concatenate(pages: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """The rows of several pages one after another; a column of integers that a page lacks is UNKNOWN there."""
    counts = [len(next(iter(page.values()))) for page in pages]
    return {
        name: np.concatenate(
            [page[name] if name in page else np.full(n, UNKNOWN) for page, n in zip(pages, counts, strict=True)]
        )
        if pages
        else np.empty(0, dtype=np.int64)
        for name in names
    }


def _encoded(column: Column) -> list[Any]:
    if column.dtype == np.uint8:
        return [column.shape[1], column.tobytes()]
    if not len(column):
        return [0, cbor2.CBORTag(64, b"")]
    least, most = int(column.min()), int(column.max())
    has_unknown = least == UNKNOWN
    if has_unknown:
        if most == UNKNOWN:
            return [0, cbor2.CBORTag(64, b""), True]
        is_known = column != UNKNOWN
        least = int(column[is_known].min()) - 1  # the element 0 says that there is no value
    elif least == most:
        return [least, cbor2.CBORTag(64, b"")]
    tag, dtype = next((tag, dtype) for tag, dtype in _TYPES.items() if most - least <= np.iinfo(dtype).max)
    elements = column.view(np.uint64) - np.uint64(least % 2**64)  # exact modulo 2^64
    if has_unknown:
        return [least, cbor2.CBORTag(tag, np.where(is_known, elements, 0).astype(dtype).tobytes()), True]
    return [least, cbor2.CBORTag(tag, elements.astype(dtype).tobytes())]


def _decoded(count: int, rest: list[Any]) -> Column:
    base: int = rest[0]
    data: Any = rest[1]
    unknown = rest[2:]
    if isinstance(data, bytes):
        if base * count != len(data) or base <= 0:
            raise ValueError("a column of another length")
        return np.frombuffer(data, dtype=np.uint8).reshape(count, base)
    if not data.value:
        return np.full(count, UNKNOWN if unknown else base, dtype=np.int64)
    elements: NDArray[Any] = np.frombuffer(data.value, dtype=_TYPES[data.tag])
    if len(elements) != count:
        raise ValueError("a column of another length")
    values = (elements.astype(np.uint64) + np.uint64(base % 2**64)).view(np.int64)
    return np.where(elements == 0, UNKNOWN, values) if unknown else values
