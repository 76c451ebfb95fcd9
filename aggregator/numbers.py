"""Short numbers for devices and accounts, so that a page names one in a few bytes: the table `number`.

24 bytes an id in memory. A number is given when something is kept under it for the first time, and stays.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import sqlalchemy as sa

from aggregator import schema
from aggregator.sql import insert_rows
from commonwatt.identity import ID_SIZE
from commonwatt.lookup import NONE as NONE
from commonwatt.lookup import by_id, find, insert
from commonwatt.page import Integers, Octets

_KEPT = "aggregator.numbers"
"""Where a connection carries the numbers that were read from it."""


class Numbers:
    """Numbers by id and back, as the table has them."""

    def __init__(self) -> None:
        self._ids: Octets = np.empty((0, ID_SIZE), dtype=np.uint8)  # by number
        self._keys = self._order = np.empty(0, dtype=np.uint32)  # to be found by their ids (commonwatt/lookup.py)
        self._ranks: Integers | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, ids: Octets) -> Integers:
        """The number of each id (n, 16); NONE: it has none."""
        return find(ids, self._keys, self._order, self._ids)

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
            self._ranks = np.empty(len(self), dtype=np.int64)
            self._ranks[by_id(self._ids)] = np.arange(len(self))
        return self._ranks

    def read(self, connection: sa.Connection) -> None:
        """Know what the table has."""
        number = schema.number.c
        rows = connection.execute(sa.select(number.id).where(number.number >= len(self)).order_by(number.number))
        self._add(octets(rows.scalars()))

    def _add(self, fresh: Octets) -> None:
        if not len(fresh):
            return
        self._keys, self._order = insert(fresh, len(self), self._keys, self._order)
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
