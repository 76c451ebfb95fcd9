"""The command: helps, completes, and ends a mistake in a sentence instead of a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMONWATT = str(Path(sys.executable).with_name("commonwatt"))
ENGLISH = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))} | {
    "LANG": "C.UTF-8"
}


def commonwatt(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMONWATT, *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=ENGLISH | environment,
    )


def test_help_when_asked_for() -> None:
    """Every part is listed with one sentence, and none is imported for it."""
    done = commonwatt("--help")
    assert done.returncode == 0
    for part in ("init", "admit", "demo", "gateway", "aggregator", "ledger", "policy", "device", "bench"):
        assert f" {part} " in done.stdout


def test_help_when_no_part_is_imported() -> None:
    """Listing the parts leaves sqlalchemy, pymodbus and MQTT alone: a gateway's machine has only its own."""
    program = (
        "import sys; sys.argv = ['commonwatt', '--help']\n"
        "from commonwatt.cli.main import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('sqlalchemy', 'pymodbus', 'paho', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=ENGLISH)
    assert done.stdout.rstrip().endswith("[]")


def test_completion_when_the_shell_asks() -> None:
    """The shell completes the parts' names; which shell asks is read off the parent process."""
    done = subprocess.run(
        ["bash", "-c", f"{COMMONWATT} --show-completion; true"],
        capture_output=True,
        text=True,
        check=True,
        env=ENGLISH,
    )
    assert "_COMMONWATT_COMPLETE" in done.stdout
    words = commonwatt(_COMMONWATT_COMPLETE="complete_bash", COMP_WORDS="commonwatt le", COMP_CWORD="1")
    assert words.stdout.split() == ["ledger"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("nonsense",), 2, "No such command"),
        (("gateway", "run", "/nowhere/gateway.toml"), 2, "/nowhere/gateway.toml: cannot be read"),
        (("bench", "nothing"), 2, "no such benchmark: nothing"),
        (("demo", "--days", "9"), 2, "1 to 7 days"),
        (("demo", "--faults", "--broker", "mqtt://127.0.0.1:1"), 2, "FAULTS kills the broker"),
        (("policy", "explain", "/nowhere/policy.toml"), 2, "/nowhere/policy.toml"),
    ],
)
def test_mistake_when_made(words: tuple[str, ...], code: int, sentence: str) -> None:
    """A mistake is a sentence on standard error and an exit code."""
    done = commonwatt(*words)
    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_bench_when_asked_for_json() -> None:
    """One object a figure: name, figure, unit, limit and their ratio, measured in the same run."""
    done = commonwatt("bench", "ledger", "transfers", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert list(row) == ["name", "figure", "unit", "limit", "ratio"]
    assert (row["name"], row["unit"]) == ("transfers", "transfers/s")
    assert row["ratio"] == pytest.approx(row["figure"] / row["limit"], rel=1e-3)
