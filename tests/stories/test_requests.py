"""The operator asks over HTTP, and in a kitchen a plug goes off: every part of the way is the real one."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aggregator.asking.desk import RequestDesk
from aggregator.asking.http import RequestPages
from aggregator.testing import COMMUNE, GATEWAY, GENESIS, POLICY, TIME_S, commonwatt, ident, key
from commonwatt import status
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.identity import save_key
from tests.aggregator.programs import Broker, Service, found, running_broker, wait_for

BIN, ROOT = Path(sys.executable).parent, Path(__file__).parents[2]
DEVICE = ident("ana-plug").hex()
QUARTER_S, HOUR_S = 900, 3600
FACTOR = 900
"""A quarter of an hour is a second."""


@contextmanager
def running(words: list[object], log_file: Path) -> Iterator[None]:
    with log_file.open("ab") as log:
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def gateway_toml(directory: Path, broker: Broker) -> Path:
    save_key(directory / "gateway.key", key(GATEWAY))
    me = ident(GATEWAY).hex()
    path = directory / "gateway.toml"
    path.write_text(
        f'id = "{me}"\ncommune = "{COMMUNE}"\ngenesis_sha256 = "{GENESIS.hex()}"\n'
        f'aggregator_public_key = "{key("aggregator").public_key.hex()}"\n'
        'key_file = "gateway.key"\nspool_file = "spool.db"\nstatus_file = "gateway.json"\nreconnect_s_max = 1\n'
        f'[local]\nurl = "mqtt://127.0.0.1:{broker.port}"\nusername = "{me}"\npassword = "{broker.passwords[me]}"\n'
    )
    return path


def device_json(directory: Path, broker: Broker, clock: CivilClock) -> Path:
    (directory / "recording").write_text("quantities,1\n900,1000\n")
    keys = {"public_key": key("aggregator").public_key.hex(), "genesis_sha256": GENESIS.hex()}
    path = directory / "device.json"
    config = {
        "device": DEVICE,
        "broker": {
            "host": "127.0.0.1",
            "port": broker.port,
            "username": DEVICE,
            "password": broker.passwords[DEVICE],
        },
        "state_dir": str(directory / "plug"),
        "step_s": 900,
        "block_readings": 4,
        "meter": {"type": "replay", "file": str(directory / "recording")},
        "clock": {
            "wall_anchor_s": clock.wall_anchor_s,
            "civil_anchor_s": clock.civil_anchor_s,
            "factor": clock.factor,
        },
        "retry_ms_max": 500,
        "requests": {**keys, "relay": True},
    }
    path.write_text(json.dumps(config))
    return path


@pytest.mark.story
def test_plug_when_the_operator_announces_a_peak(tmp_path: Path) -> None:
    """Announced with one command from elsewhere: the plug knows of it, goes off when it begins, and its gateway shows
    both."""
    place = found(tmp_path / "commune")
    (place / "policy.toml").write_text(POLICY.text)
    save_key(tmp_path / "operator.key", key("operator"))
    clock = CivilClock(TIME_S + HOUR_S, time.time(), FACTOR)
    with ExitStack() as stack:
        broker = stack.enter_context(running_broker(tmp_path, devices=("ana-plug",)))
        service = Service(place, broker, clock)
        service.start()
        stack.callback(service.stop)
        gateway = [BIN / "commonwatt", "gateway", "run", gateway_toml(tmp_path, broker), "--clock", clock]
        stack.enter_context(running([*gateway], tmp_path / "gateway.log"))
        device = [BIN / "micropython", "-X", "heapsize=256k", ROOT / "firmware" / "main.py"]
        stack.enter_context(running([*device, device_json(tmp_path, broker, clock)], tmp_path / "device.log"))
        pages = stack.enter_context(RequestPages(RequestDesk(place, clock=clock), ("127.0.0.1", 0), MonotonicClock()))

        def plug() -> dict[str, object]:
            """What the plug last told its gateway."""
            devices = status.read(tmp_path / "gateway.json").get("devices", {}).get("by_device", {})
            return dict(devices.get(DEVICE, {}).get("said", {}))

        wait_for(lambda: plug().get("relay_on") is True, "the plug, that supplies its load")
        wait_for(lambda: announced(f"http://127.0.0.1:{pages.port}", tmp_path, clock), "the announcement")
        wait_for(lambda: plug().get("asked_next"), "the plug, that knows what comes")
        wait_for(lambda: (tmp_path / "plug" / "relay").read_text() == "off\n", "the relay")
        wait_for(lambda: plug().get("asked") == "peak", "the plug, that says why")
        assert "relay_on" not in plug(), "what is not true is left out"
        assert status.read(tmp_path / "gateway.json")["requests"]["now"] == "peak"


def announced(url: str, directory: Path, clock: CivilClock) -> bool:
    """Whether a peak of some hours was taken that begins two to three seconds from now; asked again on a machine that
    was too slow for that."""
    start_s = int(clock.now_s() + 2 * FACTOR) // QUARTER_S * QUARTER_S + QUARTER_S
    times = [datetime.fromtimestamp(at_s, UTC).isoformat() for at_s in (start_s, start_s + 12 * HOUR_S)]
    words = ("--from", times[0], "--to", times[1], "--kind", "peak")
    where = ("--url", url, "--key", directory / "operator.key", "--genesis", GENESIS.hex())
    code, _said, errors = commonwatt("operator", "announce", *words, *where)
    assert code == 0 or "begun" in errors, errors
    return code == 0
