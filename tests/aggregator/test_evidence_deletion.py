"""A member's blocks go, their hashes stay; what is still needed is not deleted; the policy deletes by day."""

import hashlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator import schema, settings, testing
from aggregator.evidence import store
from aggregator.evidence.days import DAY_S, Days
from aggregator.evidence.deletion import Deleted, delete_of_member
from aggregator.policy.rules import Policy
from aggregator.policy.schedule import Enacted, Schedule
from aggregator.settling import history
from aggregator.testing import POLICY, TIME_S, ident
from commonwatt.errors import UserError
from commonwatt.refusal import Hold
from ledger.store.engine import place_of

HOUR_S = TIME_S + 3600


def measured(works) -> list[bytes]:
    """An hour of two homes, settled and minted, and a day after it."""
    blocks = [
        *works.meters["sun-roof"].sign_each(TIME_S, [(0,), (100,), (200,), (300,), (400,)]),
        *works.meters["ana-main"].sign_each(TIME_S, [(0, 0), (50, 0), (100, 0), (150, 0), (200, 0)]),
    ]
    works.deliver(*blocks)
    works.close_until(HOUR_S)
    return blocks


def closed(works) -> None:
    """The aggregator stopped, with the papers of a commune beside its ledger."""
    testing.write_papers(works.directory)
    works.database.close()
    works.ledger.close()


def files(directory: Path) -> bytes:
    """All bytes of the database's files, as whoever steals the disk reads them."""
    place = place_of(settings.database_url(directory), "a test")
    if isinstance(place, Path):
        return place.read_bytes() + b"".join(path.read_bytes() for path in directory.glob(f"{place.name}-*"))
    server = sa.create_engine(place, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql("CHECKPOINT")
        return b"".join(connection.exec_driver_sql(_FILES).scalars())


_FILES = """
SELECT pg_read_binary_file(pg_relation_filepath(file))
FROM pg_class, unnest(ARRAY[oid, nullif(reltoastrelid, 0)]) file
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND file IS NOT NULL
"""


@pytest.mark.engines("sqlite", "postgres")
def test_deletion_of_a_member(make_works):
    """Nothing of the registers is left in the file; hashes are; repeating changes nothing; others keep theirs."""
    works = make_works()
    blocks = measured(works)
    works.close_until(HOUR_S + DAY_S)
    balances = works.balances()
    member = ident("ana").hex()
    (stored,) = works.rows("SELECT signed FROM evidence_page")
    closed(works)
    assert stored[0][-64:] in files(works.directory)  # compressed: no block stands there as it was received
    assert delete_of_member(works.directory, member) == Deleted(2, 4, 0)
    assert delete_of_member(works.directory, member) == Deleted(2, 0, 4)
    assert stored[0][-64:] not in files(works.directory)
    again = make_works.reopen(works)
    left = {row[3]: row[-1] for row in again.evidence()}
    hashes = [hashlib.sha256(block).digest() for block in blocks]
    assert left == dict(zip(hashes, [*blocks[:4], b"", b"", b"", b""], strict=True))
    assert again.deliver(*blocks) == {}
    assert again.rows("SELECT value FROM counter WHERE name = 'blocks.duplicate'") == [(8,)]
    assert again.balances() == balances
    with again.database.transaction() as connection:
        assert not history.readings(connection, ident("ana-main"), TIME_S, HOUR_S)
        assert len(history.readings(connection, ident("sun-roof"), TIME_S, HOUR_S)) == 5
        assert [kept.device for kept in store.blocks(connection, [ident("ana-main")], 0, 2**40)] == []


@pytest.mark.engines("sqlite", "postgres")
def test_deletion_when_blocks_are_needed(make_works):
    """Until a day is closed after them, or a steward has decided, nothing is deleted."""
    works = make_works()
    measured(works)
    closed(works)
    with pytest.raises(UserError, match="not settled and minted yet"):
        delete_of_member(works.directory, ident("ana").hex())
    again = make_works.reopen(works)
    again.close_until(HOUR_S + DAY_S)
    with again.database.transaction() as connection:
        held = {"device": ident("ana-main"), "start_s": TIME_S, "end_s": TIME_S + 900, "closing_s": TIME_S + 900}
        connection.execute(sa.insert(schema.held), held | {"reason": Hold.ABOVE_RATING, "energy_wh": 5})
    closed(again)
    with pytest.raises(UserError, match="wait for a steward"):
        delete_of_member(works.directory, ident("ana").hex())
    assert all(make_works.reopen(again).kept())


@pytest.mark.parametrize("name", ["nobody", "", "00" * 16])
def test_deletion_of_nobody(make_works, name: str):
    """A name that is nobody's deletes nothing."""
    works = make_works()
    closed(works)
    with pytest.raises(UserError, match="no member is called"):
        delete_of_member(works.directory, name)


@pytest.mark.parametrize("keep_days", [None, 60])
def test_blocks_when_the_policy_keeps_them_no_longer(works, keep_days: int | None):
    """Days older than that lose their blocks when days are laid, never their hashes; days that wait are spared."""
    ana = works.meters["ana-main"]
    blocks = [ana.sign(TIME_S + DAY_S * day, [(day, 0), (day, 0)]) for day in range(0, 100, 10)]
    works.deliver(*blocks)
    text = POLICY.text + (f"[evidence]\nkeep_days = {keep_days}\n" if keep_days else "")
    schedule = Schedule.of([Enacted(0, TIME_S, Policy.parse(text, where="a test"))], lambda _place: 0)
    days = Days(database=works.database, clock=works.clock)
    works.clock.civil_s = TIME_S + 100 * DAY_S
    while days.step(schedule):
        pass
    assert works.rows("SELECT count(*) FROM evidence_page WHERE day IS NULL") == [(0,)]
    kept = [row[-1] for row in works.evidence()]
    assert kept == ([b""] * 4 + blocks[4:] if keep_days else blocks)
    assert [row[3] for row in works.evidence()] == [hashlib.sha256(block).digest() for block in blocks]
