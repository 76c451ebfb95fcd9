"""A plug is calibrated from another room: real MicroPython, real broker, and the commands as a person types them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.firmware import house_broker

pytestmark = pytest.mark.story

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
DEVICE = "d0" * 16
PATIENCE_S = 60


@pytest.fixture
def port(tmp_path):
    with house_broker.running(tmp_path, DEVICE) as port:
        yield port


def _commonwatt(*words):
    done = subprocess.run([BIN / "commonwatt", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _states(tmp_path, port, config, count):
    """What the plug says of its meter while the heater is on."""
    account = tmp_path / "account.toml"
    account.write_text(f"url = 'mqtt://127.0.0.1:{port}'\nusername = 'person'\npassword = 'p'\n")
    words = [BIN / "micropython", "-X", "heapsize=256k", HERE / "both" / "device_with_plug.py"]
    plug = subprocess.Popen([*words, HERE.parents[1] / "firmware", config], stdout=subprocess.DEVNULL)
    try:
        return _commonwatt("device", "states", DEVICE, "--broker-account", account, "--count", str(count))
    finally:
        plug.kill()
        plug.wait()


def test_plug_when_calibrated_with_a_heater(tmp_path, port):
    """It counted 2 % too little and showed 1 % too many volts; with its gains it shows what the reference shows."""
    config = tmp_path / "device.json"
    settings = {
        "device": DEVICE,
        "broker": {"host": "127.0.0.1", "port": port, "username": DEVICE, "password": "d"},
        "state_dir": str(tmp_path / "state"),
        "step_s": 900,
        "block_readings": 3,
        "meter": {"type": "bl0937", "chip": "bl0937", "shunt_uohm": 1000, "divider": 1830, "power_max_w": 2300},
        "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": 1_721_001_600, "factor": 100},
        "retry_ms_max": 500,
    }
    config.write_text(json.dumps(settings))
    states = tmp_path / "states.jsonl"
    states.write_text("what a console prints first\n" + _states(tmp_path, port, config, 8))
    words = ("--power-w", "2000", "--voltage-v", "230", "--config", str(config))
    gains = json.loads(_commonwatt("device", "calibrate", str(states), *words))["gains"]
    assert gains["energy"][0] / gains["energy"][1] == pytest.approx(1 / 0.98, rel=1e-3)
    assert gains["voltage"][0] / gains["voltage"][1] == pytest.approx(1 / 1.01, rel=5e-3)
    shown = [json.loads(line) for line in _states(tmp_path, port, config, 4).splitlines()]
    assert shown[-1]["power_mw"] == pytest.approx(2_000_000, rel=0.005)
    assert shown[-1]["voltage_mv"] == pytest.approx(230_000, rel=0.005)
