"""Everybody and everything admitted, by id: accounts, sites and devices as columns, the few others as objects.

A device takes 59 bytes and its site 53, each 4 more to be found by its id, and each key 12 to be found by its hint
(numpy). The aggregator reads its registry from these very columns (aggregator/intake/keys.py), so that a device is in
memory once. A number is a subject's place in the order of admission among its kind.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonwatt.evidence_page import Integers, Octets
from commonwatt.identity import key_hint
from commonwatt.lookup import NONE, by_id, find, prefixes
from commonwatt.registry import Status
from ledger.book.body import Admission, AdmitAccount, AdmitDevice, AdmitSite
from ledger.book.kinds import DeviceRole, Grade, Subject

APART_MAX = 1024
"""So many that came last are found in a dictionary; then they are put into the sorted column together."""

_PERSON = [("wallet", "V32"), ("commitment", "V32"), ("subject", "u1"), ("status", "u1"), ("since", "u8")]
ACCOUNT = np.dtype([("id", "V16"), *_PERSON])
SITE = np.dtype([("id", "V16"), ("commitment", "V32"), ("member", "u4"), ("status", "u1")])
_METER = [("site", "u4"), ("rated_power_w", "u4"), ("role", "u1"), ("grade", "u1"), ("status", "u1")]
DEVICE = np.dtype([("id", "V16"), ("public_key", "V32"), *_METER])

IS_ACCOUNT = 1 << 31
NOBODY = 2**32 - 1
"""What stands behind the hint of a key: a device's number; an account's with the highest bit set; or neither."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An admission and where its subject stands now."""

    admission: Admission
    status: Status = Status.ACTIVE


class Table:
    """Rows of one kind that grow at the end and are found by their ids, which are unique."""

    def __init__(self, kind: np.dtype[Any], data: bytes = b"") -> None:
        self._rows = np.frombuffer(bytearray(data), dtype=kind)
        self._count = len(self._rows)
        self._order = by_id(self.octets("id"))
        self._apart: dict[bytes, int] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[Any]:
        """All of them by number. Who keeps them has no more rows later, but sees what changes in these."""
        return self._rows[: self._count]

    @property
    def order(self) -> NDArray[np.uint32]:
        """The numbers, ascending by id."""
        if self._apart:
            ids = sorted(self._apart)
            at = [self._place(identifier) for identifier in ids]
            self._order = np.insert(self._order, at, [self._apart[identifier] for identifier in ids])
            self._apart = {}
        return self._order

    def octets(self, name: str) -> Octets:
        """A column of byte strings as one row of bytes each."""
        return octets_of(self.rows, name)

    def add(self, *values: object) -> int:
        """One more row, its id first; its number."""
        number = self._count
        if number == len(self._rows):
            grown = np.zeros(64 + number + number // 16, dtype=self._rows.dtype)
            grown[:number] = self._rows
            self._rows = grown
        self._rows[number] = values
        self._count += 1
        assert isinstance(values[0], bytes)
        self._apart[values[0]] = number
        if len(self._apart) >= APART_MAX:
            assert len(self.order) == self._count
        return number

    def number(self, identifier: bytes) -> int | None:
        """The number of the row with an id."""
        apart = self._apart.get(identifier)
        if apart is not None:
            return apart
        at = self._place(identifier)
        number = int(self._order[at]) if at < len(self._order) else NONE
        return number if number != NONE and self._rows[number]["id"].tobytes() == identifier else None

    def numbers(self, ids: Octets) -> Integers:
        """The numbers of many; NONE for those that have no row."""
        order, known = self.order, self.octets("id")
        return find(ids, prefixes(known[order]), order, known)

    def _place(self, identifier: bytes) -> int:
        ids = self._rows["id"]
        return bisect_left(self._order, identifier, key=lambda number: ids[number].tobytes())


class Hints:
    """Who has the key of a hint. Every key that there ever was keeps its hint taken."""

    def __init__(self, keys: bytes = b"", holders: bytes = b"") -> None:
        self._keys: NDArray[np.uint64] = np.frombuffer(keys, dtype=np.uint64)
        self._holders: NDArray[np.uint32] = np.frombuffer(bytearray(holders), dtype=np.uint32)
        self._apart: dict[int, int] = {}

    def __contains__(self, hint: bytes) -> bool:
        return self.holder(hint) is not None

    def holder(self, hint: bytes) -> int | None:
        """What stands behind a hint (see NOBODY); None if it is free."""
        key = int.from_bytes(hint, "big")
        if key in self._apart:
            return self._apart[key]
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        return int(self._holders[at]) if at < len(self._keys) and int(self._keys[at]) == key else None

    def set(self, hint: bytes, holder: int) -> None:
        """Take a hint, or have somebody else stand behind it."""
        key = int.from_bytes(hint, "big")
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        if at < len(self._keys) and int(self._keys[at]) == key:
            self._holders[at] = holder
            return
        self._apart[key] = holder
        if len(self._apart) >= APART_MAX:
            self.columns()

    def columns(self) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        """Every hint as a number, ascending, and what stands behind each."""
        if self._apart:
            keys = np.array(sorted(self._apart), dtype=np.uint64)
            holders = np.array([self._apart[key] for key in keys.tolist()], dtype=np.uint32)
            at = np.searchsorted(self._keys, keys)
            self._keys, self._holders = np.insert(self._keys, at, keys), np.insert(self._holders, at, holders)
            self._apart = {}
        return self._keys, self._holders


class Subjects:
    """Everything admitted. Like a dictionary by id; rows become objects when somebody asks for them.

    `changes`: how often anything was admitted, changed or given another key since this process began.
    """

    def __init__(self) -> None:
        self.accounts, self.sites, self.devices = Table(ACCOUNT), Table(SITE), Table(DEVICE)
        self.hints = Hints()
        self.changes = 0
        self._objects: dict[bytes, Admitted] = {}
        self._others: set[bytes] = set()

    def __len__(self) -> int:
        return len(self.accounts) + len(self.sites) + len(self.devices) + len(self._others)

    def __contains__(self, identifier: bytes) -> bool:
        return self.get(identifier) is not None

    def __getitem__(self, identifier: bytes) -> Admitted:
        row = self.get(identifier)
        if row is None:
            raise KeyError(identifier)
        return row

    def get(self, identifier: bytes) -> Admitted | None:
        """What has an id. Accounts are kept as objects once somebody asked: every payment asks."""
        found = self._objects.get(identifier)
        if found is not None:
            return found
        if (number := self.accounts.number(identifier)) is not None:
            found = self._objects[identifier] = self._account(number)
        elif (number := self.devices.number(identifier)) is not None:
            found = self._device(number)
        elif (number := self.sites.number(identifier)) is not None:
            found = self._site(number)
        return found

    def by_hint(self, hint: bytes) -> Admitted | None:
        """The account or device that has the key of a hint now."""
        holder = self.hints.holder(hint)
        if holder is None or holder == NOBODY:
            return None
        return self._account(holder - IS_ACCOUNT) if holder >= IS_ACCOUNT else self._device(holder)

    def items(self) -> Iterator[tuple[bytes, Admitted]]:
        """Everything with its id, kind by kind in the order of admission."""
        return ((row.admission.id, row) for row in self.values())

    def values(self) -> Iterator[Admitted]:
        """Everything, kind by kind in the order of admission."""
        yield from map(self._objects.__getitem__, sorted(self._others))
        yield from map(self._account, range(len(self.accounts)))
        yield from map(self._site, range(len(self.sites)))
        yield from map(self._device, range(len(self.devices)))

    def others(self) -> list[Admitted]:
        """Gateways, witnesses and keys of roles, ascending by id."""
        return [self._objects[identifier] for identifier in sorted(self._others)]

    def add(self, admission: Admission) -> None:
        """Admit somebody whose id and key are free, and whose holder is there."""
        self.changes += 1
        holder = NOBODY
        identifier = admission.id
        match admission:
            case AdmitAccount():
                rest = (admission.wallet, admission.commitment, int(admission.subject), 0, 0)
                holder = IS_ACCOUNT + self.accounts.add(identifier, *rest)
                self._objects[identifier] = Admitted(admission)
            case AdmitSite():
                self.sites.add(identifier, admission.commitment, self.accounts.number(admission.member), 0)
            case AdmitDevice():
                site, kind = self.sites.number(admission.site), (int(admission.role), int(admission.grade))
                holder = self.devices.add(identifier, admission.public_key, site, admission.rated_power_w, *kind, 0)
            case _:
                self._objects[identifier] = Admitted(admission)
                self._others.add(identifier)
        public_key = key_of(admission)
        if public_key is not None:
            self.hints.set(key_hint(public_key), holder)

    def since(self, account: bytes) -> int:
        """The place of the entry by which an account's wallet is in force; 0 if nobody noted it."""
        number = self.accounts.number(account)
        assert number is not None
        return int(self.accounts.rows["since"][number])

    def set_since(self, account: bytes, place: int) -> None:
        """Note the place of the entry that put an account's wallet into force."""
        self.accounts.rows["since"][self.accounts.number(account)] = place

    def set_status(self, identifier: bytes, status: Status) -> None:
        """Change where somebody stands."""
        self.changes += 1
        if identifier in self._objects:
            self._objects[identifier] = replace(self._objects[identifier], status=status)
        for table in (self.accounts, self.sites, self.devices):
            number = table.number(identifier)
            if number is not None:
                table.rows["status"][number] = status

    def set_key(self, identifier: bytes, public_key: bytes) -> None:
        """Give a subject with a key another one."""
        self.changes += 1
        row = self[identifier]
        old_key = key_of(row.admission)
        assert old_key is not None
        holder = self.hints.holder(key_hint(old_key))
        assert holder is not None
        self.hints.set(key_hint(old_key), NOBODY)
        self.hints.set(key_hint(public_key), holder)
        if identifier in self._objects:
            self._objects[identifier] = replace(row, admission=with_key(row.admission, public_key))
        for table, name in ((self.accounts, "wallet"), (self.devices, "public_key")):
            number = table.number(identifier)
            if number is not None:
                table.octets(name)[number] = np.frombuffer(public_key, dtype=np.uint8)

    def __getstate__(self) -> list[Any]:
        tables = [table.rows.tobytes() for table in (self.accounts, self.sites, self.devices)]
        return [*tables, *(column.tobytes() for column in self.hints.columns()), self.others()]

    def __setstate__(self, state: list[Any]) -> None:
        accounts, sites, devices, keys, holders, others = state
        self.accounts, self.sites, self.devices = Table(ACCOUNT, accounts), Table(SITE, sites), Table(DEVICE, devices)
        self.hints = Hints(keys, holders)
        self.changes = 0
        self._objects = {row.admission.id: row for row in others}
        self._others = set(self._objects)

    def _account(self, number: int) -> Admitted:
        identifier, wallet, commitment, subject, status, _since = self.accounts.rows[number].item()
        return Admitted(AdmitAccount(Subject(subject), identifier, wallet, commitment), Status(status))

    def _site(self, number: int) -> Admitted:
        identifier, commitment, member, status = self.sites.rows[number].item()
        return Admitted(AdmitSite(identifier, self.accounts.rows["id"][member].tobytes(), commitment), Status(status))

    def _device(self, number: int) -> Admitted:
        identifier, public_key, site, rated_power_w, role, grade, status = self.devices.rows[number].item()
        at = self.sites.rows["id"][site].tobytes()
        admission = AdmitDevice(identifier, at, public_key, DeviceRole(role), rated_power_w, Grade(grade))
        return Admitted(admission, Status(status))


def octets_of(rows: NDArray[Any], name: str) -> Octets:
    """A column of byte strings as one row of bytes each; what is written there is written into the rows."""
    kind, offset = rows.dtype.fields[name][:2]  # type: ignore[index]  # every kind here has fields
    view = np.dtype(
        {"names": [name], "formats": [("u1", (kind.itemsize,))], "offsets": [offset], "itemsize": rows.dtype.itemsize}
    )
    column: Octets = rows.view(view)[name]
    return column


def key_of(admission: Admission) -> bytes | None:
    """The public key that an admission brings, if any."""
    if isinstance(admission, AdmitAccount):
        return admission.wallet
    if isinstance(admission, AdmitSite):
        return None
    return admission.public_key


def with_key(admission: Admission, public_key: bytes) -> Admission:
    """The same admission with another key."""
    if isinstance(admission, AdmitAccount):
        return replace(admission, wallet=public_key)
    assert not isinstance(admission, AdmitSite)
    return replace(admission, public_key=public_key)
