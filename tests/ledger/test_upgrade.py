"""Databases of earlier versions: brought up to date in one transaction, never opened when they are of the future."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from commonwatt import sqlite
from commonwatt.errors import StorageError
from commonwatt.revisions import revision
from ledger import app, testing
from ledger.audit.verify import Mode, verify
from ledger.log.note import Signer
from ledger.sequencer import Sequencer
from ledger.store.schema import SCHEMA, metadata
from ledger.store.upgrade import SCHEMAS

FIRST = Path(__file__).parents[1] / "vectors" / "ledger-schema-1.sql"
SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)


def first_version(directory: Path) -> Path:
    """The database that the first version wrote: ana and ben, a mint of two leaves, two payments."""
    path = directory / "ledger.db"
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


def reopen(directory: Path) -> Sequencer:
    return app.open_parts(directory, SIGNER)


def tables(path: Path) -> dict[str, str]:
    """The statement behind every table and index, and the one stamp."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    rows += connection.execute("SELECT 'stamp', version_num FROM alembic_version").fetchall()
    rows += connection.execute("SELECT 'meta ' || name, value FROM meta").fetchall()
    connection.close()
    return {name: " ".join(text.split()) for name, text in rows}


def test_ledger_of_the_first_version_when_opened(tmp_path: Path) -> None:
    """It opens with every entry and balance, goes on, and what it publishes verifies in full."""
    first_version(tmp_path)
    with reopen(tmp_path) as ledger:
        assert ledger.size == 10
        assert ledger.state.book.balance_mc(testing.ident("ana")) == 9755
        assert ledger.state.book.balance_mc(testing.ident("ben")) == 745
        ledger.submit([testing.pay("ana", "ben", 1, genesis=ledger.state.genesis_sha256)])
        ledger.publish()
    report = verify(tmp_path / "log", SIGNER.verifier, mode=Mode.AUDIT)
    assert report.is_good, report.problems
    assert report.entries == 11


def test_file_when_its_schema_changes(tmp_path: Path) -> None:
    """Before the upgrade the file is kept as it was: every row of the first version is in the copy."""
    before = dump(first_version(tmp_path))
    reopen(tmp_path).close()
    assert dump(tmp_path / "ledger.db.schema-1") == before
    assert not (tmp_path / "ledger.db.schema-1.new").exists()


def test_upgrade_when_repeated(tmp_path: Path) -> None:
    """A database that is up to date is left as it is: the same tables as a new one has, at every opening."""
    path = first_version(tmp_path)
    reopen(tmp_path).close()
    once = tables(path)
    reopen(tmp_path).close()
    assert tables(path) == once
    testing.village(tmp_path / "new").close()
    assert once == tables(tmp_path / "new" / "ledger.db")


def test_revisions_when_run_from_the_first(tmp_path: Path) -> None:
    """The last revision leads to the schema that this version writes; alembic finds nothing to add."""
    scripts = ScriptDirectory.from_config(_config())
    assert scripts.get_current_head() == revision(SCHEMA)
    path = first_version(tmp_path)
    engine = sqlite.engine(f"sqlite:///{path}", busy_s=0, is_exclusive=True, pages_max=None)
    with engine.connect() as connection:
        with connection.begin():
            SCHEMAS.upgrade(connection, SCHEMAS.version_of(connection, path))
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_first_revision_when_compared_with_the_first_version(tmp_path: Path) -> None:
    """Revision 0001 is what the first version wrote, statement for statement."""
    engine = sqlite.engine(f"sqlite:///{tmp_path / 'made.db'}", busy_s=0, is_exclusive=True, pages_max=None)
    with engine.connect() as connection, connection.begin():
        _run_revisions(connection, "0001")
    engine.dispose()
    made = tables(tmp_path / "made.db")
    path = first_version(tmp_path)
    with sqlite3.connect(path) as stamped:
        stamped.execute("CREATE TABLE alembic_version (version_num TEXT)")
        stamped.execute("INSERT INTO alembic_version VALUES ('0001')")
    stamped.close()
    first = tables(path)
    del made["alembic_version"], first["alembic_version"]
    assert made == first


def test_revisions_when_run_on_postgres(postgres_url: str) -> None:
    """All revisions from none on give PostgreSQL the tables that a new ledger gets, constraints included."""
    made = []
    for make in (SCHEMAS.create, _run_revisions):
        engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
        with engine.connect() as connection, connection.begin() as attempt:
            make(connection)
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            made.append([connection.execute(sa.text(query)).all() for query in _CATALOGUE])
            attempt.rollback()
    assert made[0] == made[1]
    assert len(made[0][0]) > 8


@pytest.mark.parametrize("found", ["999", "-1", "one", ""])
def test_ledger_when_its_schema_is_of_the_future(tmp_path: Path, found: str) -> None:
    """A schema that we do not know is refused by name, and nothing is written."""
    path = first_version(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ?", (found,))
    connection.close()
    before = dump(path)
    with pytest.raises(StorageError, match=f"has schema {found}, we read {SCHEMA}\n→ install the version"):
        reopen(tmp_path)
    assert dump(path) == before


def test_copy_when_there_is_no_room(tmp_path: Path) -> None:
    """Before a schema changes the file is copied; if that fails nothing was changed, and the error says so."""
    path = first_version(tmp_path)
    engine = sqlite.engine(f"sqlite:///{path}", busy_s=0, is_exclusive=True, pages_max=None)
    with engine.connect() as connection:
        with pytest.raises(StorageError, match="cannot be copied"):
            sqlite.copy(connection, tmp_path / "nowhere" / "copy.db")
        sqlite.copy(connection, tmp_path / "copy.db")
        with connection.begin():
            entries = connection.scalar(sa.text("SELECT count(*) FROM entry"))
    engine.dispose()
    with sqlite3.connect(tmp_path / "copy.db") as copied:
        assert copied.execute("SELECT count(*) FROM entry").fetchone() == (entries,)
    copied.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "ledger.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _run_revisions(connection: sa.Connection, to: str = "head") -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


_CATALOGUE = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = current_schema() ORDER BY table_name, column_name",
    "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = current_schema()::regnamespace ORDER BY 1, 2",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1",
)
