"""Disks that fill and databases that are locked: the service stops before it acknowledges, and nothing is lost."""

import sqlite3

import numpy as np
import pytest
import sqlalchemy as sa

from aggregator import schema
from aggregator.minting import run_pages
from aggregator.minting.outbox import Minter
from aggregator.sql import Database
from aggregator.testing import TIME_S, ident, key
from commonwatt.errors import StorageError, UserError
from ledger.book.refusals import Refusal as EntryRefusal
from ledger.sequencer import Refused

HOUR_S = TIME_S + 3600


def roof_day(works):
    """Blocks of one roof over an hour, 100 Wh a quarter."""
    return works.meters["sun-roof"].sign_each(TIME_S, [(0,), (100,), (200,), (300,), (400,)])


def fill(works):
    """Deliver until nothing more fits."""
    for _ in range(1000):
        works.deliver(works.meters["ana-plug"].sign(TIME_S, [(0,)]))


@pytest.mark.engines("sqlite")
def test_a_full_disk_stops_the_intake_before_it_answers(make_works):
    """A StorageError with a sentence; after room was made the batch is answered, and everything is there once."""
    works = make_works()
    first, *others = roof_day(works)
    works.deliver(first)
    full = make_works.reopen(works, pages_max=works.rows("PRAGMA page_count")[0][0])
    with pytest.raises(StorageError, match="make room and start again"):
        fill(full)
    batch = full.gateway.batch(others)
    with pytest.raises(StorageError, match="has failed before"):
        full.intake.take([batch])
    again = make_works.reopen(full)
    assert len(again.intake.take([batch])) == 1
    assert [row[-1] for row in again.evidence() if row[1] == ident("sun-roof")] == [first, *others]


@pytest.mark.engines("sqlite")
def test_a_locked_database_stops_the_intake_before_it_answers(make_works):
    """Whoever holds the lock longer than we wait is named as the cause; afterwards the batch is answered."""
    works = make_works.reopen(make_works(), busy_s=0.01)
    batch = works.gateway.batch(roof_day(works))
    holder = sqlite3.connect(works.directory / "aggregator.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked by another process"):
        works.intake.take([batch])
    holder.close()
    again = make_works.reopen(works)
    assert len(again.intake.take([batch])) == 1
    assert len(again.kept()) == 4


def test_a_database_of_another_schema_is_not_touched(tmp_path):
    """A newer version's file is left alone, with a sentence."""
    url = f"sqlite:///{tmp_path / 'aggregator.db'}"
    Database(url).close()
    with sqlite3.connect(tmp_path / "aggregator.db") as connection:
        connection.execute("UPDATE meta SET value = '999' WHERE name = 'schema'")
    connection.close()
    with pytest.raises(UserError, match="schema 999"):
        Database(url)


@pytest.mark.engines("sqlite", "postgres")
def test_a_run_is_minted_once_when_the_process_died_after_the_ledger_answered(make_works):
    """Between the ledger's answer and our note of it: asked again, the ledger answers the first place."""
    works = make_works()
    works.deliver(*roof_day(works))
    works.close_until(HOUR_S)
    size, balances = works.ledger.size, works.balances()
    with works.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE run SET place = NULL")
    again = make_works.reopen(works)
    assert again.minter.step() == 1
    assert (again.ledger.size, again.balances()) == (size, balances)
    assert again.minter.step() == 0


def test_a_prepared_run_survives_the_process(make_works):
    """Closed but not minted: the next process mints exactly what was prepared."""
    works = make_works()
    works.deliver(*roof_day(works))
    works.clock.civil_s = HOUR_S + 3600
    works.closer.step(works.intake.directory)
    with works.database.transaction() as connection:
        (run,) = connection.execute(sa.select(schema.run)).all()
        (leaf,) = (mints.leaf(row) for mints in [run_pages.read(connection, run)] for row in range(len(mints)))
    again = make_works.reopen(works)
    assert again.closer.step(again.intake.directory) == 0
    assert again.minter.step() == 1
    assert again.ledger.entry(again.ledger.size - 2) == leaf.encode()
    assert again.balances() == {"sun": 288, "association": 32}


def test_a_run_that_the_ledger_refuses_stops_the_service(make_works):
    """A ledger and a database of different times do not go together; going on would owe credits silently."""

    class Stubborn:
        def mint_arrays(self, *_, **__):
            return Refused(EntryRefusal.WINDOW_MINTED)

        def are_held(self, leaves):
            return np.zeros(len(leaves), dtype=bool)

        are_barred = are_stranded = are_held

        def publish(self):
            raise AssertionError("nothing to publish")

    works = make_works()
    works.deliver(*roof_day(works))
    works.clock.civil_s = HOUR_S + 3600
    works.closer.step(works.intake.directory)
    minter = Minter(database=works.database, ledger=Stubborn(), key=key("aggregator"))
    with pytest.raises(StorageError, match="window-minted"):
        minter.step()
