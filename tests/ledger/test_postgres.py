"""What only PostgreSQL can do wrong: a real server, real sessions; nothing is answered that may not be there."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from commonwatt.errors import StorageError, UserError
from ledger import app, testing
from ledger.log.note import Signer
from ledger.sequencer import Placed, Sequencer
from ledger.store.engine import engine_for

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)

FAILS_AT_COMMIT = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{code}'; END $$;
CREATE CONSTRAINT TRIGGER fail AFTER INSERT OR UPDATE ON piece DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fail();
"""


@pytest.fixture
def commune(tmp_path: Path, postgres_url: str) -> Path:
    """A directory whose ledger lies in PostgreSQL; ana has 10 credits."""
    settle(tmp_path, postgres_url)
    with testing.village(tmp_path, "ana", "ben") as ledger:
        testing.mint(ledger, [testing.earned("ana", 10_000, 1000)])
    return tmp_path


def settle(directory: Path, url: str) -> None:
    (directory / "ledger.toml").write_text(f'store = "{url}"\n')


def reopen(directory: Path) -> Sequencer:
    return app.open_parts(directory, SIGNER)


def run(url: str, statement: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(("code", "what"), [("53100", "the disk is full"), ("58030", "could not extend file")])
def test_submit_when_the_commit_fails(commune: Path, postgres_url: str, code: str, what: str) -> None:
    """A COMMIT that the server refuses ends the ledger; after a new start what failed is nowhere, and can be sent."""
    payment = testing.pay("ana", "ben", 1)
    with reopen(commune) as ledger:
        size = ledger.size
        run(postgres_url, FAILS_AT_COMMIT.format(code=code))
        with pytest.raises(StorageError, match=what):
            ledger.submit([payment])
        with pytest.raises(StorageError, match="has failed"):
            ledger.submit([testing.pay("ana", "ben", 2)])
        with pytest.raises(StorageError, match="has failed"):
            ledger.publish()
    run(postgres_url, "DROP TRIGGER fail ON piece")
    with reopen(commune) as ledger:
        assert ledger.size == size
        assert ledger.submit([payment]) == [Placed(size)]


def test_submit_when_the_session_is_lost(commune: Path, postgres_url: str) -> None:
    """A server that goes away ends the ledger: its lock went with the session, so another may be writing by now."""
    with reopen(commune) as ledger:
        run(postgres_url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with pytest.raises(StorageError, match=r"the database failed: .*\n→ mend it and start"):
            ledger.submit([testing.pay("ana", "ben", 1)])
        with reopen(commune) as other:
            assert other.submit([testing.pay("ana", "ben", 2)]) == [Placed(other.size - 1)]
        with pytest.raises(StorageError, match="has failed"):
            ledger.submit([testing.pay("ana", "ben", 3)])


def test_ledgers_when_two_share_a_database(
    commune: Path, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each schema is a ledger with a lock of its own."""
    other = tmp_path_factory.mktemp("other")
    run(postgres, "CREATE SCHEMA IF NOT EXISTS beside")
    settle(
        other, sa.make_url(postgres).update_query_dict({"options": "-csearch_path=beside"}).render_as_string(False)
    )
    with reopen(commune) as ledger, testing.village(other, "eve") as second:
        assert ledger.size != second.size
    run(postgres, "DROP SCHEMA beside CASCADE")


def test_server_when_it_may_lose_commits(commune: Path, postgres_url: str) -> None:
    """A session that answers before a commit is on the disk is not used."""
    url = sa.make_url(postgres_url)
    options = f"{url.query['options']} -csynchronous_commit=off"
    settle(commune, url.update_query_dict({"options": options}).render_as_string(False))
    with pytest.raises(StorageError, match="synchronous_commit = off: it may lose"):
        reopen(commune)


def test_server_when_nobody_answers(commune: Path) -> None:
    """The message names the place without its password."""
    settle(commune, "postgresql://ledger:secret@127.0.0.1:1/ledger")
    with pytest.raises(StorageError, match=r"ledger:\*\*\*@127.0.0.1:1/ledger: the database failed: conn") as caught:
        reopen(commune)
    assert "secret" not in str(caught.value)


def test_ledger_when_created_over_another(commune: Path) -> None:
    """Creating a ledger where one is leaves it alone."""
    with pytest.raises(StorageError, match="a ledger is here already"):
        app.create_ledger(commune, testing.GENESIS, testing.LOG_KEY)
    with reopen(commune) as ledger:
        assert ledger.size == 7


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "ledger.db", "http://x/"])
def test_url_when_no_ledger_can_lie_there(url: str) -> None:
    """Anything but a file of SQLite and PostgreSQL is refused with the two spellings."""
    with pytest.raises(UserError, match=r"\n→ write sqlite:///PATH or postgresql://"):
        engine_for(url)
