"""What a real gateway logs: lines for people or machines, levels with a meaning, and no secret in any of them."""

import json
import re
from pathlib import Path

from gateway.testing import SigningDevice
from tests.gateway.modbus_meter import FaultyMeter
from tests.gateway.support import Town, wait_for

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR) [\w.]+: .+")


def life(tmp_path: Path, *arguments: str) -> Town:
    """A gateway that connects, reads a meter that fails, hears nonsense, loses its broker, and is stopped."""
    with FaultyMeter(mode="exception") as meter:
        town = Town(tmp_path, [SigningDevice()], meters=_meter(meter.port)).found()
        with town.running_gateway(*arguments):
            with town.broker(), town.client("aggregator") as aggregator:
                wait_for(lambda: _lines(town, "connected as") == 2, "both connections")
                registry = town.registry_message(town.devices[0].record())

                def is_heard() -> bool:
                    # Its subscription may still be on its way; what came before that is nobody's.
                    aggregator.publish(registry.topic, b"nonsense")
                    return "ignored a message" in town.log()

                wait_for(is_heard, "the nonsense")
                wait_for(lambda: "meter roof" in town.log(), "a silent meter")
            wait_for(lambda: not town.status()["broker"]["local"], "the broker's end")
    return town


def _lines(town: Town, words: str) -> int:
    """How many lines of the log say this."""
    return sum(words in line for line in town.log().splitlines())


def secrets(town: Town) -> list[str]:
    """What nobody may read in a log: passwords, and keys as bytes of their files or in hexadecimal."""
    keys = [path.read_bytes() for path in town.directory.glob("*.key")]
    assert len(keys) == 2
    return [*town.passwords.values(), *(key.hex() for key in keys), *(key.decode("latin-1").strip() for key in keys)]


def test_log_when_a_machine_reads_it(tmp_path: Path) -> None:
    """Every line is an object with the same keys; what is normal is info, what is wrong and dealt with a warning."""
    town = life(tmp_path, "--json-log", "--verbose")
    lines = [json.loads(line) for line in town.log().splitlines()]
    for line in lines:
        assert set(line) - {"exception"} == {"time", "level", "part", "message", "event"}
    levels = {line["event"]: line["level"] for line in lines}
    assert levels["gateway %s of %s is up, %d meters"] == "info"
    assert levels["%s: connected as %s"] == "info"
    assert levels["ignored a message on %s: %s"] == "warning"
    assert levels["asked to end: stopped"] == "info"
    assert not any(secret in town.log() for secret in secrets(town))


def test_log_when_a_person_reads_it(tmp_path: Path) -> None:
    """Time, level, part and a sentence on each line."""
    town = life(tmp_path)
    assert [line for line in town.log().splitlines() if not LINE.fullmatch(line)] == []
    assert not any(secret in town.log() for secret in secrets(town))


def _meter(port: int) -> str:
    return (
        f'[[meters]]\nname = "roof"\ndevice = "{"cc" * 16}"\nkey_file = "roof.key"\n'
        f'type = "schneider-iem3155"\nhost = "127.0.0.1"\nport = {port}\n'
    )
