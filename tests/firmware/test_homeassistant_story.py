"""A device and a Home Assistant at a broker with the rights that `commonwatt gateway broker-config` gives them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from commonwatt.demo.programs import answers, free_port, wait_for
from gateway.devices.broker import HOME_ASSISTANT, Place, Roster, nats_conf, passwords_of, rights_of

pytestmark = pytest.mark.story

BIN = Path(sys.executable).parent
MAIN = Path(__file__).parents[2] / "firmware" / "main.py"
DEVICE, GATEWAY = "ef" * 16, "01" * 16
CLAIM = b"a claim"
PATIENCE_S = 30


@pytest.fixture
def broker(tmp_path):
    """(port, passwords) of a broker as a gateway makes it."""
    port = free_port()
    roster = Roster(commune="village", home_assistant=True, gateways=(GATEWAY,), devices=(DEVICE,))
    rights = rights_of(roster)
    passwords = passwords_of(rights, {})
    config = tmp_path / "nats.conf"
    place = Place(name="127.0.0.1", host="127.0.0.1", port=port, store_dir=tmp_path / "nats")
    config.write_text(nats_conf("village", rights, passwords, place))
    server = subprocess.Popen(
        [BIN / "nats-server", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: answers("127.0.0.1", port), what="the broker", timeout_s=PATIENCE_S)
        yield port, passwords
    finally:
        server.kill()
        server.wait()


class Listener:
    """Someone at the broker: the newest of each topic, and whether it was retained."""

    def __init__(self, broker, username, *topics):
        port, passwords = broker
        self.seen = {}
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(username, passwords[username])
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def until(self, *topics):
        wait_for(lambda: set(topics) <= self.seen.keys(), what=", ".join(topics), timeout_s=PATIENCE_S)

    def stop(self):
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client, _data, message):
        self.seen[message.topic] = (message.payload, message.retain)


def test_home_assistant_when_it_starts_after_the_meter(broker, tmp_path):
    """With the generated rights alone it finds configuration, total and availability; the gateway finds the claim."""
    port, passwords = broker
    (tmp_path / "recording").write_text("quantities,1,2\n900,1000,5\n")
    config = {
        "device": DEVICE,
        "broker": {"host": "127.0.0.1", "port": port, "username": DEVICE, "password": passwords[DEVICE]},
        "state_dir": str(tmp_path / "state"),
        "step_s": 900,
        "block_readings": 3,
        "meter": {"type": "replay", "file": str(tmp_path / "recording")},
        "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": 1_721_001_600, "factor": 9000},
        "retry_ms_max": 500,
        "homeassistant": {"every_s": 1},
        "claim": CLAIM.hex(),
    }
    path = tmp_path / "device.json"
    path.write_text(json.dumps(config))
    energy, state = f"cw/{DEVICE}/energy", f"cw/{DEVICE}/state"
    found = [f"homeassistant/sensor/{DEVICE}/{name}/config" for name in ("import", "export")]
    device = subprocess.Popen([BIN / "micropython", "-X", "heapsize=256k", MAIN, path])
    early = late = None
    try:
        early = Listener(broker, HOME_ASSISTANT, "homeassistant/+/+/+/config", "cw/+/energy", "cw/+/state")
        early.until(*found, energy, state)
        late = Listener(broker, HOME_ASSISTANT, "homeassistant/#", "cw/+/energy", "cw/+/state")
        late.until(*found, energy, state)
        gateway = Listener(broker, GATEWAY, "cw/+/claim")
        gateway.until(f"cw/{DEVICE}/claim")
        gateway.stop()
        assert gateway.seen[f"cw/{DEVICE}/claim"] == (CLAIM, True)
        assert all(retained for _payload, retained in (late.seen[topic] for topic in (*found, energy)))
        assert json.loads(late.seen[energy][0]) == {"import": 1000, "export": 5}
        told = json.loads(late.seen[found[0]][0])
        assert (told["device_class"], told["state_class"], told["unit_of_measurement"]) == (
            "energy",
            "total_increasing",
            "Wh",
        )
        assert (told["state_topic"], told["availability_topic"]) == (energy, state)
    finally:
        device.kill()
        device.wait()
        for listener in (early, late):
            if listener is not None:
                listener.stop()
