"""Pages of columns as rows, for tests that write what programs read, and read what they wrote."""

from collections.abc import Sequence

import numpy as np

from commonwatt import page


def page_of(names: Sequence[str], rows: Sequence[Sequence[int | bytes]]) -> bytes:
    """Rows as a page of columns (docs/spec/pages.md)."""
    columns: dict[str, page.Column] = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        octets = [value for value in values if isinstance(value, bytes)]
        if octets:
            columns[name] = np.frombuffer(b"".join(octets), dtype=np.uint8).reshape(len(octets), -1)
        else:
            columns[name] = np.array(values, dtype=np.int64)
    return page.encode(columns)


def rows_of(data: bytes) -> list[dict[str, int | bytes]]:
    """The rows of a page, by the names of its columns."""
    columns = page.decode(data)
    rows = zip(*(_listed(column) for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _listed(column: page.Column) -> list[int] | list[bytes]:
    return [row.tobytes() for row in column] if column.dtype == np.uint8 else column.tolist()
