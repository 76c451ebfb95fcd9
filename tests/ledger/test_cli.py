"""`commonwatt ledger` from outside: what it prints and how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from commonwatt import testing_command
from commonwatt.identity import save_key
from ledger import testing


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return testing_command.run("ledger", *arguments)


@pytest.fixture
def commune(tmp_path: Path) -> Path:
    """A commune's directory in which ana holds 5 credits."""
    with testing.village(tmp_path, "ana", "ben") as ledger:
        testing.mint(ledger, [testing.earned("ana", 5000, 500)])
        ledger.publish()
    (tmp_path / "commune.toml").write_text(
        f'name = "testville"\norigin = "{testing.ORIGIN}"\ngenesis_sha256 = "{testing.GENESIS_SHA256.hex()}"\n'
        f'log_vkey = "{(tmp_path / "log.vkey").read_text().strip()}"\ntrial = true\n'
        f'association = "{testing.ident("association").hex()}"\n'
    )
    (tmp_path / "names.toml").write_text(f'{testing.ident("ana").hex()} = "Ana"\n')
    save_key(tmp_path / "keys" / "log.key", testing.LOG_KEY)
    save_key(tmp_path / "ana.key", testing.key("ana"))
    return tmp_path


def pay(commune: Path, amount: str, payee: str = "ben") -> "subprocess.CompletedProcess[str]":
    accounts = ("--from", testing.ident("ana").hex(), "--to", testing.ident(payee).hex())
    clock = "1721001600@0x1"
    return run("pay", commune, "--wallet", commune / "ana.key", *accounts, "--credits", amount, "--clock", clock)


def test_pay_when_there_is_enough(commune: Path) -> None:
    """A payment is placed and published; balance and audit see it."""
    done = pay(commune, "1.5")
    assert done.returncode == 0, done.stderr
    assert "paid 1.500 credits: entry 7 of 8" in done.stdout
    balances = run("balance", commune).stdout
    assert "3.500" in balances
    assert "Ana" in balances
    assert "1.500" in run("balance", commune / "log", testing.ident("ben").hex()).stdout
    audit = run("verify", commune / "log", "--vkey", commune / "log.vkey", "--mode", "audit")
    assert audit.returncode == 0, audit.stdout
    assert "OK: testville.example/log, 8 entries" in audit.stdout


@pytest.mark.parametrize(
    ("amount", "payee", "why"),
    [
        ("5.001", "ben", "does not have that much"),
        ("0", "ben", "amount is zero"),
        ("1", "ana", "the same"),
        ("1", "nobody", "does not exist"),
        ("-1", "ben", "not an amount"),
        ("1.2345", "ben", "not an amount"),
    ],
)
def test_pay_when_refused(commune: Path, amount: str, payee: str, why: str) -> None:
    """A payment that cannot be made ends in a sentence and changes nothing."""
    done = pay(commune, amount, payee)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert run("show", commune, "--limit", "1").stdout.startswith("6 ")


def test_show_when_asked_for_everything(commune: Path) -> None:
    """Every entry is a line, with the names that are known."""
    lines = run("show", commune).stdout.splitlines()
    assert len(lines) == 7
    assert "commune testville" in lines[0]
    assert "5.000 credits to Ana for 5.500 kWh of solar production" in lines[5]
    assert run("show", commune, "--limit", "2").stdout.splitlines() == lines[5:]


def test_verify_when_a_byte_was_changed(commune: Path) -> None:
    """A changed log fails with code 1, and the file is named."""
    tile = next((commune / "log" / "tile" / "0" / "000.p").iterdir())
    tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])
    done = run("verify", commune / "log", "--vkey", commune / "log.vkey")
    assert done.returncode == 1
    assert f"tile/0/000.p/{tile.name}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["verify", "log"], "can prove nothing"),
        (["verify", "log", "--vkey", "commune.toml"], "cannot read a vkey"),
        (["verify", "keys", "--vkey", "log.vkey"], "no published log"),
        (["balance", "log", "feed"], "no account begins"),
    ],
)
def test_command_when_misused(commune: Path, arguments: list[str], why: str) -> None:
    """A mistake ends in a sentence and code 2."""
    paths = [str(commune / word) if (commune / word).exists() else word for word in arguments]
    done = run(*paths)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_command_when_it_is_a_process(commune: Path) -> None:
    """Code and sentence are those of the tests above; a mistake leaves no traceback."""
    argv = [Path(sys.executable).parent / "commonwatt", "ledger", "balance", commune / "log", "feed"]
    environment = {"LANGUAGE": "en", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert "no account begins" in done.stderr
    assert "Traceback" not in done.stderr
