"""What is admitted is in columns; it agrees with a dictionary of objects, before and after it was saved."""

import hashlib
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.evidence_page import octets
from commonwatt.identity import key_hint
from commonwatt.lookup import NONE, distinct
from commonwatt.registry import Status
from ledger.audit import saved_state
from ledger.book.body import AdmitAccount, AdmitDevice, AdmitGateway, AdmitSite
from ledger.book.kinds import DeviceRole, Grade, Subject
from ledger.book.subjects import APART_MAX, NOBODY, SITE, Admitted, Subjects, Table, with_key

# Ids that share their beginning are possible, if hardly ever met.
alike = st.builds(lambda end: bytes(15) + bytes([end]), st.integers(0, 9))
ids = st.one_of(st.binary(min_size=16, max_size=16), alike)


def made(text: str, size: int = 32) -> bytes:
    """Bytes that follow from a text."""
    return hashlib.sha256(text.encode()).digest()[:size]


class Plain:
    """The same as `Subjects`, one object each."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rows: dict[bytes, Admitted] = {}
        self.hints: set[bytes] = set()
        self.subjects = Subjects()

    def admit(self, admission: AdmitAccount | AdmitSite | AdmitDevice | AdmitGateway) -> None:
        self.subjects.add(admission)
        self.rows[admission.id] = Admitted(admission)
        if not isinstance(admission, AdmitSite):
            self.hints.add(key_hint(getattr(admission, "wallet", None) or admission.public_key))

    def of_kind(self, kind: type) -> list[bytes]:
        return [identifier for identifier, row in self.rows.items() if isinstance(row.admission, kind)]

    def step(self, number: int) -> None:
        """Something happens to the village."""
        accounts, sites = self.of_kind(AdmitAccount), self.of_kind(AdmitSite)
        identifier, key = made(f"id {number}", 16), made(f"key {number}")
        match self.rng.randrange(7):
            case 0 | 1 if sites:
                kind = self.rng.choice(list(DeviceRole)), self.rng.randrange(2**32), self.rng.choice(list(Grade))
                self.admit(AdmitDevice(identifier, self.rng.choice(sites), key, *kind))
            case 2 if accounts:
                self.admit(AdmitSite(identifier, self.rng.choice(accounts), made(f"who {number}")))
            case 3:
                self.admit(AdmitGateway(identifier, key))
            case 4 if self.rows:
                changed, status = self.rng.choice(list(self.rows)), self.rng.choice(list(Status))
                self.subjects.set_status(changed, status)
                self.rows[changed] = Admitted(self.rows[changed].admission, status)
            case 5 if keyed := [i for i, row in self.rows.items() if not isinstance(row.admission, AdmitSite)]:
                changed = self.rng.choice(keyed)
                row = self.rows[changed]
                self.subjects.set_key(changed, key)
                self.rows[changed] = Admitted(with_key(row.admission, key), row.status)
                self.hints.add(key_hint(key))
            case _:
                subject = self.rng.choice([Subject.MEMBER, Subject.MERCHANT])
                self.admit(AdmitAccount(subject, identifier, key, made(f"who {number}")))

    def check(self) -> None:
        """Both say the same of everybody and of every key."""
        subjects = self.subjects
        assert dict(subjects.items()) == self.rows
        assert len(subjects) == len(self.rows)
        assert {identifier: subjects.get(identifier) for identifier in self.rows} == self.rows
        assert subjects.get(b"nobody's subject") is None
        assert all(hint in subjects.hints for hint in self.hints)
        assert key_hint(b"another key") not in subjects.hints
        for row in self.rows.values():
            key = getattr(row.admission, "wallet", None) or getattr(row.admission, "public_key", None)
            if isinstance(row.admission, AdmitAccount | AdmitDevice):
                assert subjects.by_hint(key_hint(key)) == row
        devices = subjects.devices
        assert devices.rows["id"][devices.order].tolist() == sorted(self.of_kind(AdmitDevice))


@pytest.mark.parametrize("seed", range(4))
def test_subjects_when_they_are_admitted_changed_and_saved(seed: int):
    """A few hundred steps; from time to time what is saved and read again goes on instead."""
    village = Plain(random.Random(seed))
    for number in range(300):
        village.step(number)
        if number % 60 == 59:
            village.check()
            village.subjects = saved_state.decode(saved_state.encode(village.subjects))
            village.check()


def test_a_key_of_before_when_it_was_replaced():
    """Its hint stays taken and finds nobody; the device is found by the new one alone."""
    village = Plain(random.Random(0))
    village.admit(AdmitAccount(Subject.MEMBER, made("ana", 16), made("wallet"), made("who")))
    village.admit(AdmitSite(made("home", 16), made("ana", 16), made("where")))
    village.admit(AdmitDevice(made("meter", 16), made("home", 16), made("old"), DeviceRole.MAIN, 9000, Grade.DEVICE))
    village.subjects.set_key(made("meter", 16), made("new"))
    assert village.subjects.hints.holder(key_hint(made("old"))) == NOBODY
    assert village.subjects.by_hint(key_hint(made("old"))) is None
    found = village.subjects.by_hint(key_hint(made("new")))
    assert found is not None
    assert found.admission.id == made("meter", 16)


@given(st.lists(ids, unique=True, max_size=30), st.integers(0, 30))
def test_a_table_when_ids_resemble_each_other(known: list[bytes], read: int):
    """One by one and together, whether they were there when the table was read or came later."""
    before = Table(SITE)
    for identifier in known[:read]:
        before.add(identifier, bytes(32), 0, 0)
    table = Table(SITE, before.rows.tobytes())
    for identifier in known[read:]:
        table.add(identifier, bytes(32), 0, 0)
    assert [table.number(identifier) for identifier in known] == list(range(len(known)))
    stranger = bytes(15) + b"\xff"
    assert table.number(stranger) is None
    assert table.numbers(octets([*known, stranger])).tolist() == [*range(len(known)), NONE]
    assert table.order.tolist() == sorted(range(len(known)), key=known.__getitem__)


def test_a_table_when_many_come_after_another():
    """More than are kept apart: everyone is found while they come, and rows that somebody holds stay as they are."""
    table = Table(SITE)
    held = []
    for number in range(2 * APART_MAX + 10):
        table.add(made(f"{number}", 16), bytes(32), number, 0)
        if number % 500 == 0:
            held.append(table.rows)
    assert [table.number(made(f"{number}", 16)) for number in range(len(table))] == list(range(len(table)))
    assert [rows["member"].tolist() for rows in held] == [list(range(len(rows))) for rows in held]
    assert np.array_equal(np.sort(table.order), np.arange(len(table)))


@given(st.lists(st.integers(0, 9)))
def test_distinct_values(values: list[int]):
    """Each once, ascending; of none there are none."""
    assert distinct(np.array(values, dtype=np.int64)).tolist() == sorted(set(values))
