"""Short numbers for devices and accounts, so that a page names one in a few bytes: the table `number`.

28 bytes an id in memory. A number is given when something is kept under it for the first time, and stays.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import sqlalchemy as sa

from aggregator import schema
from aggregator.sql import insert_rows
from commonwatt.identity import ID_SIZE
from commonwatt.page import Integers, Octets

NONE = -1

_KEPT = "aggregator.numbers"
"""Where a connection carries the numbers that were read from it."""


class Numbers:
    """Numbers by id and back, as the table has them."""

    def __init__(self) -> None:
        self._ids: Octets = np.empty((0, ID_SIZE), dtype=np.uint8)  # by number
        self._keys = np.empty(0, dtype=np.uint64)  # the first half of each id, ascending
        self._order: Integers = np.empty(0, dtype=np.int64)  # the number of each key
        self._ranks: Integers | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, ids: Octets) -> Integers:
        """The number of each id (n, 16); NONE: it has none."""
        wanted = _keys(ids)
        found = np.full(len(ids), NONE)
        at = np.searchsorted(self._keys, wanted)
        open_rows = np.arange(len(ids))
        while len(open_rows):  # twice only where two ids begin with the same eight bytes
            open_rows = open_rows[at[open_rows] < len(self._keys)]
            open_rows = open_rows[self._keys[at[open_rows]] == wanted[open_rows]]
            numbers = self._order[at[open_rows]]
            is_it = (self._ids[numbers] == ids[open_rows]).all(axis=1)
            found[open_rows[is_it]] = numbers[is_it]
            open_rows = open_rows[~is_it]
            at[open_rows] += 1
        return found

    def of(self, connection: sa.Connection, ids: Octets) -> Integers:
        """The number of each id; gives numbers to those that have none."""
        numbers = self.find(ids)
        if (numbers == NONE).any():
            self.read(connection)  # another process may have given them
            is_new = self.find(ids) == NONE
            fresh = np.unique(np.ascontiguousarray(ids[is_new]), axis=0)
            rows = [(len(self) + at, name.tobytes()) for at, name in enumerate(fresh)]
            insert_rows(connection, _INSERT, rows)
            self._add(fresh)
            numbers = self.find(ids)
        return numbers

    def of_one(self, connection: sa.Connection, identifier: bytes) -> int:
        """The number of one id; gives it one if it has none."""
        return int(self.of(connection, octets([identifier]))[0])

    def ids(self, numbers: Integers) -> Octets:
        """The id of each number."""
        found: Octets = self._ids[numbers]
        return found

    def names(self, numbers: Integers) -> list[bytes]:
        """The same as byte strings."""
        names: list[bytes] = np.ascontiguousarray(self._ids[numbers]).view(f"V{ID_SIZE}").ravel().tolist()
        return names

    def ranks(self) -> Integers:
        """By number: its id's place among all ids in their order."""
        if self._ranks is None:
            order = np.lexsort((_keys(self._ids[:, ID_SIZE // 2 :]), _keys(self._ids)))
            self._ranks = np.empty(len(self), dtype=np.int64)
            self._ranks[order] = np.arange(len(self))
        return self._ranks

    def read(self, connection: sa.Connection) -> None:
        """Know what the table has."""
        number = schema.number.c
        rows = connection.execute(sa.select(number.id).where(number.number >= len(self)).order_by(number.number))
        self._add(octets(rows.scalars()))

    def _add(self, fresh: Octets) -> None:
        if not len(fresh):
            return
        keys, first = _keys(fresh), len(self)
        order = np.argsort(keys, kind="stable")
        at = np.searchsorted(self._keys, keys[order])
        self._keys = np.insert(self._keys, at, keys[order])
        self._order = np.insert(self._order, at, first + order)
        self._ids = np.concatenate([self._ids, fresh])
        self._ranks = None


def of(connection: sa.Connection) -> Numbers:
    """The numbers of a database; a connection reads them once and forgets them when a transaction fails."""
    numbers = connection.info.get(_KEPT)
    if numbers is None:
        numbers = connection.info[_KEPT] = Numbers()
        numbers.read(connection)
    assert isinstance(numbers, Numbers)
    return numbers


def octets(names: Iterable[bytes], size: int = ID_SIZE) -> Octets:
    """Byte strings of one size as rows."""
    return np.frombuffer(b"".join(names), dtype=np.uint8).reshape(-1, size)


def names_of(ids: Octets) -> Sequence[bytes]:
    """Rows as byte strings."""
    names: list[bytes] = np.ascontiguousarray(ids).view(f"V{ids.shape[1]}").ravel().tolist()
    return names


_INSERT = sa.insert(schema.number)


def _keys(ids: Octets) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The first eight bytes of each row as one number that orders as they do."""
    return np.ascontiguousarray(ids[:, :8]).view(">u8").ravel().astype(np.uint64)
