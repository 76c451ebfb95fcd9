"""Who has never seen the project goes from the parts list to a meter that reports: the page, run as it stands."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.serial_ports import serial_meters
from tests.gateway.support import answers, free_port, started, wait_for
from tests.gateway.test_scan import BY_TYPE, simulated

PAGE = Path(__file__).parents[2] / "hardware" / "first-meter.md"
BIN = Path(sys.executable).parent
FENCE = re.compile(r"(?:^`([\w.]+)`:\n\n)?^```(sh|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
AWAY = "# in a terminal of its own\n"
FACTOR = 3600
"""An hour in a second: a block of four quarters does not take its hour here."""


def steps(values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The page's files and commands in order, ("" or a name, text), with `values` put in as they become known."""
    for file, kind, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        for name, value in values.items():
            text = text.replace(name, value)
        yield (file, text) if kind == "toml" else ("", text)


@pytest.mark.story
def test_page_when_a_beginner_follows_it(tmp_path: Path) -> None:
    """Every command in its order and nothing else: the meter is found, admitted, and its reading confirmed."""
    port, watch = free_port(), free_port()
    clock = f"--clock {time.time():.0f}@{time.time():.3f}x{FACTOR}"
    values = {
        "--host 127.0.0.1": f"--host 127.0.0.1 --port {port}",
        "8071": str(watch),
        "/dev/serial/by-id/ADAPTER": str(tmp_path / "adapter"),
        'status_file = "status.json"\n': 'status_file = "status.json"\nbatch_age_s = 0.1\n',
        "init village": f"init village {clock}",
        "admit village": f"admit village {clock}",
        "gateway run": f"gateway run {clock}",
        "aggregator run": f"aggregator run {clock}",
    }
    units = {3: simulated(BY_TYPE["abb-b23"], with_identity=True, kwh=1234.5)}
    printed: dict[str, str] = {}
    with ExitStack() as stack:
        stack.enter_context(serial_meters(tmp_path, units))
        for file, text in steps(values):
            if file:
                (tmp_path / file).write_text(text)
            elif text.startswith(AWAY):
                stack.enter_context(started(_argv(text.removeprefix(AWAY)), cwd=tmp_path, stderr=subprocess.DEVNULL))
                wait_for(lambda: answers(port), "the broker")
            else:
                if "device list" in text:
                    _wait_for_block(tmp_path)
                printed[text] = _run(text, tmp_path)
                if "gateway identity" in text:
                    told = json.loads(printed[text])
                    values["GATEWAY_KEY"] = told["gateway"]["public_key"]
                    values["METER_ID"] = told["meters"][0]["device"]
                    values["METER_KEY"] = told["meters"][0]["public_key"]
        health = urllib.request.urlopen(f"http://127.0.0.1:{watch}/", timeout=20)
        with health:
            assert "Meter" in health.read().decode()
    assert "1234.5" in next(text for command, text in printed.items() if "gateway check" in command)
    (listed,) = next(text for command, text in printed.items() if "device list" in command).splitlines()
    # What was sent before the aggregator listened is "missing" until it is sent again.
    # The log says that its gateway signs for it, which is worth less trust than a device that signs itself.
    assert re.match(
        values["METER_ID"] + r"  production  active +gateway +9000 W .* \d{4}-\d\d-\d\d \d\d:\d\d  Ana's roof", listed
    )
    assert (tmp_path / "label.svg").exists()


def _wait_for_block(directory: Path) -> None:
    def confirmed() -> bool:
        path = directory / "status.json"
        return path.exists() and json.loads(path.read_text())["batches"]["receipted"] > 0

    wait_for(confirmed, "the first confirmed block")


def _argv(line: str) -> list[str]:
    words = shlex.split(line)
    return [str(BIN / words[0]), *words[1:]]


def _run(text: str, directory: Path) -> str:
    """A block of commands in a shell, as a person pastes it."""
    environment = {**os.environ, "LANGUAGE": "en", "PATH": f"{BIN}:{os.environ['PATH']}"}
    shell = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(shell, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, text + done.stdout + done.stderr
    return done.stdout
