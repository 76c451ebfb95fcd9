"""What a person meets at the command line."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from gateway.bench import measure_blocks
from gateway.bench_meters import measure_modbus_cpu
from gateway.testing import SigningDevice
from tests.gateway.modbus_meter import FaultyMeter
from tests.gateway.support import COMMONWATT, Town, command


def failing(*words: str) -> tuple[int, str]:
    done = subprocess.run([COMMONWATT, *words], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def meter(port: int) -> str:
    return (
        f'[[meters]]\nname = "roof"\ndevice = "{"cc" * 16}"\nkey_file = "roof.key"\n'
        f'type = "schneider-iem3155"\nhost = "127.0.0.1"\nport = {port}\n'
    )


def test_identity_when_it_is_asked_twice(tmp_path: Path) -> None:
    """Keys are made once, for their owner's eyes only; the same public halves come out each time."""
    town = Town(tmp_path, [], meters=meter(502)).found()
    first = command("gateway", "identity", str(town.settings_file))
    assert command("gateway", "identity", str(town.settings_file)) == first
    printed = json.loads(first)
    assert printed["gateway"]["id"] == town.gateway.hex()
    assert [(m["name"], m["device"]) for m in printed["meters"]] == [("roof", "cc" * 16)]
    assert printed["meters"][0]["public_key"] != printed["gateway"]["public_key"]
    for name in ("gateway.key", "roof.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_check_when_a_meter_answers_or_not(tmp_path: Path) -> None:
    """Values to compare with the display; exit code 1 when a meter is silent."""
    with FaultyMeter() as own:
        own.show(1234, 5678)
        town = Town(tmp_path, [], meters=meter(own.port)).found()
        shown = command("gateway", "check", str(town.settings_file))
        assert "1.234 kWh" in shown
        assert "5.678 kWh" in shown
        own.mode = "exception"
        assert failing("gateway", "check", str(town.settings_file))[0] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("gateway", "run", "nowhere.toml"), "nowhere.toml: cannot be read"),
        (("gateway", "broker-config", "nowhere.toml", "out"), "nowhere.toml: cannot be read"),
    ],
)
def test_command_when_a_file_is_missing(words: tuple[str, ...], says: str) -> None:
    """A sentence that names the file, exit code 2, no traceback."""
    code, error = failing(*words)
    assert code == 2
    assert says in error


def test_run_when_the_clock_or_a_meter_type_is_wrong(tmp_path: Path) -> None:
    """Both are found before anything starts."""
    town = Town(tmp_path, [SigningDevice()], meters=meter(502).replace("iem3155", "iem9999")).found()
    assert failing("gateway", "run", str(town.settings_file), "--clock", "soon")[0] == 2
    code, error = failing("gateway", "run", str(town.settings_file))
    assert code == 2
    assert "schneider-iem9999" in error
    assert not town.spool_file.exists()


def test_bench_when_it_is_run_small() -> None:
    """The figure counts blocks that really are in signed batches."""
    figure, unit = measure_blocks(50)
    assert figure > 0
    assert unit == "blocks/s"


def test_bench_when_a_few_meters_are_polled() -> None:
    """Every poll is taken; the same bytes over bare sockets cost less."""
    percent, bare_percent = measure_modbus_cpu(5, step_s=2, steps=1)
    assert 0 < bare_percent < percent
