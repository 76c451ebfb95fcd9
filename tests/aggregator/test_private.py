"""The private store: what is said of people and places, and the commitments that the log holds instead."""

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from aggregator.private import schema
from aggregator.private.person import Person
from aggregator.private.store import PrivateStore
from commonwatt import cbor, sqlite
from commonwatt.errors import StorageError, UserError
from commonwatt.revisions import revision

ANA, MILL = b"a" * 16, b"m" * 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private.db"


def stored(path: Path) -> PrivateStore:
    """Ana, who rents, and a mill of which nothing is known."""
    store = PrivateStore(path)
    store.enrol("members", "Ana", ANA, {"kind": "tenant"}, 100)
    store.enrol("sites", "mill", MILL)
    store.save()
    return store


def test_store_when_a_name_has_another_id(path):
    """An id that was admitted is not exchanged by a roster."""
    with pytest.raises(UserError, match="was admitted with the id 6161"):
        stored(path).enrol("members", "Ana", MILL)


def test_store_when_two_commands_enrol_one_name(path):
    """The second is told; what the first wrote stands, and of the second nothing."""
    first, second = PrivateStore(path), PrivateStore(path)
    mine = first.enrol("members", "Ana", None)
    second.enrol("members", "Ben", None)
    second.enrol("members", "Ana", None)
    first.save()
    with pytest.raises(UserError, match="repeat the command"):
        second.save()
    again = PrivateStore(path)
    assert [row.name for row in again.people("members")] == ["Ana"]
    assert again.find("members", "Ana") == mine


def test_store_when_it_is_of_the_future(path):
    """Refused by its number, and not written."""
    stored(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
    connection.close()
    with pytest.raises(StorageError, match="schema 99, we read"):
        PrivateStore(path)


def test_store_when_the_file_is_no_database(path):
    """A sentence instead of a traceback; the file stays."""
    path.write_text("names = [")
    with pytest.raises(StorageError, match="private store failed"):
        PrivateStore(path)
    assert path.read_text() == "names = ["


def test_store_when_saving_was_cut_off_at_the_start(path):
    """An empty file is a store that never was: what private.toml has is not forgotten for it."""
    path.touch()
    row = f'[[members]]\nname = "Ana"\nid = "{ANA.hex()}"\nsalt = "{"07" * 32}"\n'
    path.with_name("private.toml").write_text(row)
    assert PrivateStore(path).find("members", "Ana") is not None


def test_store_when_it_was_a_toml_file(path):
    """Ids, salts and commitments are those of before; the old file is kept and never read again."""
    row = f'[[members]]\nname = "Ana"\nid = "{ANA.hex()}"\nsalt = "{"07" * 32}"\n'
    path.with_name("private.toml").write_text(row)
    PrivateStore(path).save()
    assert path.with_name("private.toml").read_text() == row
    path.with_name("private.toml").write_text("damaged = [")
    found = PrivateStore(path).find("members", "Ana")
    assert found == Person("members", "Ana", ANA, b"\7" * 32)
    assert found.commitment == hashlib.sha256(b"\7" * 32 + cbor.encode(["members", "Ana"])).digest()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('name = "Ana"\nid = "00"\nsalt = "00"', "an id has 16 bytes"),
        ('name = "Ana"\nid = "zz"\nsalt = "00"', "is damaged"),
        ('name = "Ana"', "is damaged"),
    ],
)
def test_toml_file_when_it_is_damaged(path, row, words):
    """Named with its place, nothing is made of it."""
    path.with_name("private.toml").write_text(f"[[members]]\n{row}\n")
    with pytest.raises(UserError, match=words):
        PrivateStore(path)
    assert not path.exists()


def test_store_when_it_is_opened_again(path):
    """For its owner only; names beside it; attributes with their story."""
    store = stored(path)
    person = store.find("members", "Ana")
    assert person is not None
    assert store.amend(person, {"kind": "owner", "note": "x"}, at_s=200) is not None
    assert store.amend(person, {"kind": "owner"}, at_s=300) is None
    store.amend(person, {"note": None}, at_s=400)
    store.save()
    assert path.stat().st_mode & 0o777 == 0o600
    assert ANA.hex() in path.with_name("names.toml").read_text()
    again = PrivateStore(path)
    assert again.attributes(ANA) == {"kind": "owner"}
    assert [(row.at_s, row.read()) for row in again.records(ANA)] == [
        (100, {"kind": "tenant"}),
        (200, {"kind": "owner", "note": "x"}),
        (400, {"kind": "owner"}),
    ]
    assert again.attributes(MILL) == {}
    assert again.name_of(MILL) == "mill"


def test_commitment_when_attributes_are_known(path):
    """Admission commits to them; a change has a salt and a commitment of its own, and leaves the first as it was."""
    person = stored(path).find("members", "Ana")
    assert person is not None
    text = json.dumps({"kind": "tenant"}, separators=(",", ":"))
    assert person.commitment == hashlib.sha256(person.salt + cbor.encode(["members", "Ana", text])).digest()
    store = PrivateStore(path)
    record = store.amend(person, {"kind": "owner"}, at_s=200)
    assert record is not None
    assert record.commitment(person) != person.commitment
    store.save()
    again = PrivateStore(path)
    assert again.find("members", "Ana") == person
    assert again.unlogged() == [(person, record)]
    again.note(record, 12)
    assert PrivateStore(path).unlogged() == again.unlogged() == []


def test_revisions_when_compared_with_the_tables(path):
    """The last revision leads to the schema that a new store gets."""
    config = Config()
    config.set_main_option("script_location", schema.SCHEMAS.scripts)
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == revision(schema.SCHEMA_VERSION)
    stored(path)
    engine = sqlite.engine(f"sqlite:///{path}", busy_s=1, is_exclusive=False, pages_max=None)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    engine.dispose()
