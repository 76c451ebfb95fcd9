"""Control, updates, Home Assistant of a real MicroPython behind a real broker; configurations that are wrong."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from commonwatt import cbor, cose
from commonwatt.demo.programs import answers, free_port, wait_for
from commonwatt.identity import SigningKey
from tests.firmware import house_broker

pytestmark = pytest.mark.story

BIN = Path(sys.executable).parent
MAIN = Path(__file__).parents[2] / "firmware" / "main.py"
DEVICE = "ef" * 16
KEY = SigningKey.from_seed(bytes([9]) * 32)
GENESIS = hashlib.sha256(b"story").digest()
PATIENCE_S = 30


@pytest.fixture
def port(tmp_path):
    """A broker."""
    with house_broker.running(tmp_path, DEVICE) as port:
        yield port


class Person:
    """Someone with an MQTT client who reads what is retained and publishes what he likes."""

    def __init__(self, port, topic):
        self.seen = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "person")
        self._client.username_pw_set("person", "p")
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_message = lambda _client, _data, message: self.seen.append(
            (message.topic, message.payload, message.retain)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def say(self, topic, payload):
        self._client.publish(topic, payload, 1)

    def until(self, holds):
        wait_for(lambda: holds(list(self.seen)), what="a message", timeout_s=PATIENCE_S)

    def stop(self):
        self._client.disconnect()
        self._client.loop_stop()


def _settings(tmp_path, port, rows="900,1000,5\n", **services):
    (tmp_path / "recording").write_text("quantities,1,2\n" + rows)
    config = {
        "device": DEVICE,
        "broker": {"host": "127.0.0.1", "port": port, "username": DEVICE, "password": "d"},
        "state_dir": str(tmp_path / "state"),
        "step_s": 900,
        "block_readings": 3,
        "meter": {"type": "replay", "file": str(tmp_path / "recording")},
        "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": 1_721_001_600, "factor": 9000},
        "retry_ms_max": 500,
        **services,
    }
    path = tmp_path / "device.json"
    path.write_text(json.dumps(config))
    return path


def _start(path):
    return subprocess.Popen([BIN / "micropython", "-X", "heapsize=256k", MAIN, path])


def _end(device):
    device.kill()
    device.wait()


def _status(tmp_path, holds):
    """status.json once it says what is expected."""
    path = tmp_path / "state" / "status.json"
    found = {}

    def look():
        if path.exists():
            found.update(json.loads(path.read_text()))
        return bool(found) and holds(found)

    wait_for(look, what="a status", timeout_s=PATIENCE_S)
    return found


def test_home_assistant_when_it_comes_later(tmp_path, port):
    """Configurations and totals are retained, so who subscribes later sees the meter at once; totals never fall."""
    path = _settings(tmp_path, port, homeassistant={"every_s": 1})
    prefix = f"homeassistant/sensor/{DEVICE}"
    device = _start(path)
    early = Person(port, "cw/+/energy")
    try:
        early.until(lambda seen: seen)
    finally:
        _end(device)
    late = Person(port, "#")
    try:
        late.until(
            lambda seen: {f"{prefix}/import/config", f"{prefix}/export/config"} <= {topic for topic, *_ in seen}
        )
        late.until(lambda seen: any(topic == f"cw/{DEVICE}/energy" and retain for topic, _payload, retain in seen))
        config = json.loads(next(payload for topic, payload, _ in late.seen if topic == f"{prefix}/import/config"))
        assert config["state_class"] == "total_increasing"
        late.until(lambda seen: (f"cw/{DEVICE}/state", b'{"state": "offline"}') in [message[:2] for message in seen])
        _settings(tmp_path, port, rows="900,70,5\n", homeassistant={"every_s": 1})
        device = _start(path)
        late.until(lambda seen: [payload for topic, payload, _ in seen if b"1070" in payload])
        totals = [json.loads(payload)["import"] for topic, payload, _ in late.seen if topic.endswith("/energy")]
        assert totals == sorted(totals)
    finally:
        _end(device)
        early.stop()
        late.stop()


def _command(counter, action, key=KEY):
    payload = cbor.encode([1, bytes.fromhex(DEVICE), counter, action])
    return cose.sign1(payload, key, cose.external_aad("command", GENESIS))


def test_control_when_commanded_killed_and_forged(tmp_path, port):
    """A signed command moves the relay, a kill does not move it back, replays and forgeries are counted by reason."""
    keys = {"public_key": KEY.public_key.hex(), "genesis_sha256": GENESIS.hex()}
    path = _settings(tmp_path, port, control=keys)
    relay = tmp_path / "state" / "relay"
    device = _start(path)
    person = Person(port, f"cw/{DEVICE}/state")
    try:
        person.until(lambda seen: seen)
        assert relay.read_text() == "on\n"
        person.say(f"cw/{DEVICE}/cmd", _command(1, [1, False]))
        _status(tmp_path, lambda status: status.get("commands_obeyed") == 1)
        assert relay.read_text() == "off\n"
        _end(device)
        relay.unlink()
        before = len(person.seen)
        device = _start(path)
        person.until(lambda seen: b'{"state": "online"}' in [payload for _topic, payload, _retain in seen[before:]])
        assert relay.read_text() == "off\n"
        person.say(f"cw/{DEVICE}/cmd", _command(1, [1, False]))
        person.say(f"cw/{DEVICE}/cmd", _command(2, [1, True])[:-1] + b"\x00")
        person.say(f"cw/{DEVICE}/cmd", _command(2, [1, True], SigningKey.from_seed(bytes(32))))
        status = _status(tmp_path, lambda status: len(status.get("commands_refused", ())) == 3)
        assert status["commands_refused"] == {"6": 1, "8": 1, "3": 1}
        assert relay.read_text() == "off\n"
    finally:
        _end(device)
        person.stop()


def _hold(button, hold_s):
    button.touch()
    time.sleep(hold_s)  # a finger's time is wall time
    button.unlink()


def test_control_when_the_button_is_pressed(tmp_path, port):
    """A short press moves the relay, also where nobody may command it, and a power cut does not move it back."""
    button = tmp_path / "button"
    path = _settings(tmp_path, port, control={}, button_file=str(button))
    relay = tmp_path / "state" / "relay"
    device = _start(path)
    try:
        status = _status(tmp_path, lambda status: status["link_up"])
        assert (status["relay_on"], status["broken"]) == (True, ["control"])
        _hold(button, 0.3)
        _status(tmp_path, lambda status: status["relay_on"] is False)
        assert relay.read_text() == "off\n"
        _end(device)
        relay.unlink()
        device = _start(path)
        wait_for(relay.exists, what="the relay", timeout_s=PATIENCE_S)
        assert _status(tmp_path, lambda status: status["boots"] == 2)["relay_on"] is False
    finally:
        _end(device)


@pytest.mark.soak
def test_device_when_the_button_is_held_for_ten_seconds(tmp_path, port):
    """What the owner told is forgotten, and the device starts again; key, journal and registers stay."""
    button = tmp_path / "button"
    path = _settings(tmp_path, port, button_file=str(button))
    told = tmp_path / "state" / "config"
    device = _start(path)
    try:
        before = _status(tmp_path, lambda status: status["next_seq"] > 0)
        told.write_text("{}")
        key = (tmp_path / "state" / "key").read_text()
        _hold(button, 10.5)
        assert device.wait(PATIENCE_S) == 75
        assert not told.exists()
        device = _start(path)
        assert _status(tmp_path, lambda status: status["boots"] == 2)["next_seq"] >= before["next_seq"]
        assert (tmp_path / "state" / "key").read_text() == key
    finally:
        _end(device)


@pytest.mark.soak
def test_device_when_the_button_is_held_for_five_seconds(tmp_path, port):
    """The set-up opens beside the metering, which goes on."""
    button, page = tmp_path / "button", free_port()
    path = _settings(tmp_path, port, button_file=str(button), set_up_port=page)
    device = _start(path)
    flash = tmp_path / "state" / "journal.flash"
    try:
        _status(tmp_path, lambda status: status["next_seq"] > 0)
        _hold(button, 6)
        wait_for(lambda: answers("127.0.0.1", page), what="the set-up's page", timeout_s=PATIENCE_S)
        before = flash.read_bytes()
        wait_for(lambda: flash.read_bytes() != before, what="another sample", timeout_s=PATIENCE_S)
        assert device.poll() is None
    finally:
        _end(device)


def test_update_when_a_web_server_has_one(tmp_path, port):
    """The device fetches it, ends to be restarted, runs on trial, and confirms it once gateway and meter answer."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    image = bytes(range(256)) * 9
    payload = cbor.encode([1, "unix", 2, len(image), hashlib.sha256(image).digest()])
    (shelf / "unix.update").write_bytes(cose.sign1(payload, KEY, cose.external_aad("update", GENESIS)))
    (shelf / "unix-2.bin").write_bytes(image)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(shelf))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    update = {
        "public_key": KEY.public_key.hex(),
        "genesis_sha256": GENESIS.hex(),
        "url": f"http://127.0.0.1:{server.server_port}",
        "every_s": 1,
    }
    path = _settings(tmp_path, port, board="unix", update=update)
    device = _start(path)
    try:
        assert device.wait(PATIENCE_S) == 75
        written = (tmp_path / "state" / "images").read_bytes()
        assert written[256 * 512 :].startswith(image)
        device = _start(path)
        assert _status(tmp_path, lambda status: status.get("on_trial") is True)["version"] == 1
    finally:
        _end(device)
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state_dir": 7}'])
def test_device_when_its_configuration_is_corrupt(tmp_path, text):
    """It says so and ends with 2, without a traceback."""
    path = tmp_path / "device.json"
    path.write_text(text)
    done = subprocess.run([BIN / "micropython", MAIN, path], capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert done.stdout.startswith("cannot start:")
    assert "Traceback" not in done.stderr


def test_device_when_a_part_is_configured_wrongly(tmp_path, port):
    """That part is left out and named; metering goes on."""
    path = _settings(tmp_path, port, control={"public_key": "77", "genesis_sha256": ""}, update={}, requests=[])
    device = _start(path)
    try:
        status = _status(tmp_path, lambda status: status["samples_taken"] > 0)
        assert status["broken"] == ["control", "requests", "update"]
    finally:
        _end(device)
