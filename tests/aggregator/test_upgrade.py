"""The aggregator's database of an earlier version: brought up to date behind a copy, all or nothing."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from aggregator import schema
from aggregator.evidence import store
from aggregator.intake import heads
from aggregator.sql import Database
from aggregator.testing import TIME_S
from commonwatt.errors import StorageError, UserError
from commonwatt.evidence_page import names
from commonwatt.revisions import revision

FIRST = Path(__file__).parents[1] / "vectors" / "aggregator-schema-1.sql"
BALANCES = {"ana": 45, "ben": 27, "sun": 936, "association": 112}
"""Of the hour whose evidence the first version kept, worked out by hand in test_closing.py."""


def first_version(path: Path) -> Path:
    """What the first version wrote: an hour of five meters, two of its four intervals closed."""
    connection = sqlite3.connect(path)
    connection.executescript(FIRST.read_text(encoding="utf-8"))
    connection.close()
    return path


def dump(path: Path) -> list[str]:
    """Everything in a database, as text."""
    with sqlite3.connect(path) as connection:
        lines = list(connection.iterdump())
    connection.close()
    return lines


@pytest.mark.engines("sqlite")
def test_database_of_the_first_version_when_opened(make_works):
    """It goes on where it was: the window that was half closed is minted as if nothing had happened."""
    works = make_works()
    works.database.close()
    path = works.directory / "aggregator.db"
    for file in works.directory.glob("aggregator.db*"):
        file.unlink()
    before = dump(first_version(path))
    again = make_works.reopen(works)
    assert dump(path.with_name("aggregator.db.schema-1")) == before
    assert again.rows("SELECT log_size FROM closing ORDER BY end_s") == [(0,), (0,)]
    again.close_until(TIME_S + 3600)
    assert again.balances() == BALANCES


def test_evidence_of_the_first_version_is_kept(tmp_path):
    """Every block with its id, place, times and hash; what is missing from a chain is known; memory is as it was."""
    path = first_version(tmp_path / "aggregator.db")
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM evidence WHERE id IN (2, 3)")
        before = connection.execute("SELECT * FROM evidence ORDER BY device, seq").fetchall()
        device, _seq = connection.execute("SELECT device, seq FROM evidence WHERE id = 1").fetchone()
    connection.close()
    with Database(f"sqlite:///{path}") as database, database.transaction() as connection:
        assert sorted(store.all_blocks(connection), key=lambda kept: (kept.device, kept.seq)) == before
        gaps = connection.exec_driver_sql("SELECT * FROM gap").all()
        known = heads.load(connection)
    assert gaps == [(device, 1, 2)]
    assert dict(zip(names(known.device), known.seq.tolist(), strict=True)) == {row[1]: 3 for row in before}


def test_upgrade_when_repeated(tmp_path):
    """A database that is up to date is left as it is, and no further copy is made."""
    path = first_version(tmp_path / "aggregator.db")
    Database(f"sqlite:///{path}").close()
    once = dump(path)
    path.with_name("aggregator.db.schema-1").unlink()
    Database(f"sqlite:///{path}").close()
    assert dump(path) == once
    assert not path.with_name("aggregator.db.schema-1").exists()


def test_revisions_when_compared_with_the_tables(tmp_path):
    """The last revision leads to the schema that a new database gets; alembic finds nothing to add."""
    config = Config()
    config.set_main_option("script_location", "aggregator:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == revision(schema.SCHEMA_VERSION)
    path = first_version(tmp_path / "aggregator.db")
    with Database(f"sqlite:///{path}") as database, database.transaction() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_held_spans_of_the_first_version_find_their_blocks(tmp_path):
    """A release must name the block of a span that was held before blocks were noted."""
    path = first_version(tmp_path / "aggregator.db")
    with sqlite3.connect(path) as connection:
        device, last_id = connection.execute(
            "SELECT device, id FROM evidence ORDER BY id LIMIT 1 OFFSET 1"
        ).fetchone()
        (end_s,) = connection.execute("SELECT end_s FROM evidence WHERE id = ?", (last_id,)).fetchone()
        connection.execute("INSERT INTO held VALUES (?, ?, ?, 1, 5, ?)", (device, end_s - 900, end_s, end_s))
    connection.close()
    with Database(f"sqlite:///{path}") as database, database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT evidence_id FROM held").scalar() == last_id


@pytest.mark.parametrize("found", ["999", "-1", "one", ""])
def test_database_when_its_schema_is_of_the_future(tmp_path, found):
    """A schema that we do not know is refused by name, and nothing is written."""
    path = first_version(tmp_path / "aggregator.db")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ?", (found,))
    connection.close()
    before = dump(path)
    with pytest.raises(UserError, match=f"has schema {found}, we read"):
        Database(f"sqlite:///{path}")
    assert dump(path) == before


def test_upgrade_when_the_disk_is_full(tmp_path):
    """Half an upgrade is none: the tables are those of before, and so is what they say."""
    path = first_version(tmp_path / "aggregator.db")
    before = dump(path)
    with sqlite3.connect(path) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.close()
    with pytest.raises(StorageError, match="make room"):
        Database(f"sqlite:///{path}", pages_max=pages)
    assert dump(path) == before
