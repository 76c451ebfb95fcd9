"""Real programs from outside: three witnesses, a log that asks them, a server that is asked and stopped.

What runs for long is a process of its own; what is typed meanwhile runs in the test's.
"""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from commonwatt.identity import save_key
from commonwatt.testing_command import run
from ledger import testing

pytestmark = pytest.mark.story

COMMONWATT = str(Path(sys.executable).parent / "commonwatt")
ENGLISH = {"LANGUAGE": "en", "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
Program = subprocess.Popen[str]


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Programs that a test starts; what still runs at its end is stopped."""
    started: list[Program] = []
    yield started
    for program in started:
        program.kill()
        program.communicate()


def start(programs: list[Program], *arguments: object) -> Program:
    command = [COMMONWATT, *map(str, arguments)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENGLISH)
    programs.append(program)
    return program


def url_in(lines: IO[str] | None) -> str:
    """Wait for the line that tells the address."""
    assert lines is not None
    for line in lines:
        found = re.search(r"http://[\d.]+:\d+", line)
        if found:
            return found[0]
    raise AssertionError("the program ended without telling its address")


@pytest.fixture
def commune(tmp_path: Path) -> Path:
    """A commune's directory whose ledger nobody has open."""
    directory = tmp_path / "commune"
    with testing.village(directory, "ana", "ben") as ledger:
        ledger.publish()
    (directory / "commune.toml").write_text(
        f'name = "testville"\norigin = "{testing.ORIGIN}"\ngenesis_sha256 = "{testing.GENESIS_SHA256.hex()}"\n'
        f'log_vkey = "{(directory / "log.vkey").read_text().strip()}"\ntrial = true\n'
        f'association = "{testing.ident("association").hex()}"\n'
    )
    save_key(directory / "keys" / "log.key", testing.LOG_KEY)
    return directory


def test_witnesses_when_two_of_three_run(commune: Path, tmp_path: Path, programs: list[Program]) -> None:
    """Town hall and association answer, the operator is away: the quorum is met, verify and proofs ask for it."""
    lines = []
    for name in ("townhall", "association", "operator"):
        directory = tmp_path / name
        vkey = run("witness", "key", directory, "--name", f"{name}.example/w").stdout.strip()
        url = "http://127.0.0.1:9"
        if name != "operator":
            options = ("--name", f"{name}.example/w", "--log", commune / "log.vkey", "--port", 0)
            url = url_in(start(programs, "witness", "run", directory, *options).stdout)
        lines.append(f"witness {name} {vkey} {url}\n")
    policy = commune / "witnesses.policy"
    policy.write_text("".join([*lines, "group commune 2 townhall association operator\n", "quorum commune\n"]))
    options = ("--vkey", commune / "log.vkey", "--policy", policy)
    assert run("ledger", "verify", commune, *options).returncode == 1  # nobody has cosigned yet
    asked = run("ledger", "cosign", commune, *options, "--once")
    assert asked.returncode == 0, asked.stderr
    assert "cosigned by townhall, association; quorum met" in asked.stdout
    assert run("ledger", "verify", commune, *options, "--mode", "audit").returncode == 0
    run("ledger", "constitution", commune, "--vkey", commune / "log.vkey", "--out", tmp_path / "constitution.toml")
    run("ledger", "prove", commune, 0, "--out", tmp_path / "0.tlog-proof")
    proven = run("verify", tmp_path / "0.tlog-proof", "--constitution", tmp_path / "constitution.toml")
    assert proven.returncode == 0, proven.stdout
    assert "townhall (20" in proven.stdout
    for program in programs:
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=30) == 0


def test_server_when_run_and_stopped(commune: Path, programs: list[Program]) -> None:
    """`ledger run` holds the ledger alone, answers, carries out what commands enter, and ends when it is told to."""
    server = start(programs, "ledger", "run", commune, "--port", 0)
    url = url_in(server.stderr)
    with urllib.request.urlopen(f"{url}/v1/ledger", timeout=30) as answer:
        assert json.load(answer)["size"] == 5
    second = run("ledger", "run", commune, "--port", 0)
    assert second.returncode == 3
    assert "open in another process" in second.stderr
    save_key(commune / "keys" / "steward.key", testing.key("steward"))
    words = ("subject=member", f"id={testing.ident('ana').hex()}", "status=suspended", "reason=moved")
    entered = run("ledger", "enter", commune, "status", *words, "--key", commune / "keys" / "steward.key")
    assert entered.stdout == "entry 5 of the log\n", entered.stderr
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=30)
    assert server.returncode in (0, -signal.SIGTERM)
    done = run("ledger", "export", commune, "--format", "csv")
    assert done.stdout.startswith("place,entry,time,kind,account,name,amount")


def test_mirror_and_audit_when_typed(commune: Path, tmp_path: Path, programs: list[Program]) -> None:
    """A log behind any static web server: mirror, verify by address, save an audit and go on from it."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(commune)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    programs.append(server)
    url = url_in(server.stdout) + "/log"
    vkey = ("--vkey", commune / "log.vkey")
    assert "5 entries, 5 of them new" in run("ledger", "mirror", url, tmp_path / "copy", *vkey).stdout
    far = run("ledger", "verify", url, *vkey)
    assert far.returncode == 0, far.stderr
    assert "entries a second" in far.stdout
    saved = tmp_path / "audit.saved"
    first = run("ledger", "verify", tmp_path / "copy", *vkey, "--mode", "audit", "--save", saved)
    assert (first.returncode, saved.exists()) == (0, True)
    again = run("ledger", "verify", tmp_path / "copy", *vkey, "--mode", "audit", "--since", saved)
    assert "0 entries read" in again.stdout
    assert run("ledger", "verify", tmp_path / "copy", *vkey, "--since", saved).returncode == 2
