"""Pages of columns give back what was put in, in as few bytes as the values need."""

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt import page
from commonwatt.demo.judge.columns import read_page
from commonwatt.page import UNKNOWN

whole = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(whole, whole, st.binary(min_size=16, max_size=16)), max_size=20), st.booleans())
def test_page_is_read_as_it_was_written(rows, is_narrow):
    """Any numbers of 64 bits, unknown ones among them, and byte strings; the judge reads the same."""
    numbers = [[row[at] % 300 if is_narrow else row[at] for row in rows] for at in (0, 1)]
    names = np.frombuffer(b"".join(row[2] for row in rows), dtype=np.uint8).reshape(-1, 16)
    columns = {name: np.array(values, dtype=np.int64) for name, values in zip("ab", numbers, strict=True)}
    data = page.encode({**columns, "id": names})
    read = page.decode(data)
    assert all((read[name] == values).all() and read[name].dtype == np.int64 for name, values in columns.items())
    assert (read["id"] == names).all()
    judged = read_page(data)
    assert [row["id"] for row in judged] == [row[2] for row in rows]
    for name, values in zip("ab", numbers, strict=True):
        assert [row[name] for row in judged] == [None if value == UNKNOWN else value for value in values]


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ([7, 7, 7], 0),
        ([UNKNOWN] * 3, 0),
        ([1000, 1003, 1255], 3),
        ([0, UNKNOWN, 254], 3),
        ([0, UNKNOWN, 255], 6),
        ([0, 65_536], 8),
        ([-(2**63) + 1, 2**63 - 1], 16),
    ],
)
def test_column_takes_as_few_bytes_as_its_values_need(values, size):
    """One value for all takes none; a row without a value takes one of the codes."""
    data = page.encode({"a": np.array(values, dtype=np.int64)})
    ((_name, _base, elements, *_unknown),) = cbor2.loads(data)[1]
    assert len(elements.value) == size
    assert page.decode(data)["a"].tolist() == values


def test_pages_one_after_another():
    """A column that one of them lacks has no values there."""
    first, second = ({name: np.array([at, at]) for name in names} for at, names in enumerate(("a", "ab")))
    found = page.concatenate([first, second], ("a", "b"))
    assert {name: column.tolist() for name, column in found.items()} == {
        "a": [0, 0, 1, 1],
        "b": [UNKNOWN, UNKNOWN, 1, 1],
    }
