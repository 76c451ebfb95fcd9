"""What `commonwatt device command` and `release` sign, a real MicroPython obeys and installs, and nothing else."""

import hashlib
import http.server
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from commonwatt import block, cbor, cose
from commonwatt.demo.programs import answers, free_port, wait_for

pytestmark = pytest.mark.story

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
DEVICE = "be" * 16
GENESIS = hashlib.sha256(b"signing").hexdigest()
PATIENCE_S = 30
RESTART = 75

BROKER = """
server_name: signing
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{folder}/nats" }}
mqtt {{ listen: "127.0.0.1:{port}" }}
authorization {{ users: [ {{ user: gateway, password: g }}, {{ user: {device}, password: d }} ] }}
"""


def commonwatt(*words):
    """Run the command as a person does; what it printed."""
    environment = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "LANGUAGE": ""}
    words = [str(BIN / "commonwatt"), *map(str, words)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Home:
    """A device, its gateway's broker, a gateway that answers, a shelf with updates, and the commune's key."""

    def __init__(self, folder):
        self.folder = folder
        self.key, self.shelf = folder / "key", folder / "shelf"
        self.public_key = commonwatt("device", "key", self.key)
        self.port = free_port()
        config = folder / "nats.conf"
        config.write_text(BROKER.format(folder=folder, port=self.port, device=DEVICE))
        words = [str(BIN / "nats-server"), "-c", str(config)]
        self._broker = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: answers("127.0.0.1", self.port), what="the broker", timeout_s=PATIENCE_S)
        (folder / "account.toml").write_text(
            f"url = 'mqtt://127.0.0.1:{self.port}'\nusername = 'gateway'\npassword = 'g'\n"
        )
        self._gateway = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "gateway")
        self._gateway.username_pw_set("gateway", "g")
        self._gateway.on_connect = lambda client, *_: client.subscribe("cw/+/block", 1)
        self._gateway.on_message = self._acknowledge
        self._gateway.connect("127.0.0.1", self.port)
        self._gateway.loop_start()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
        self.server.folder, self.server.after = self.shelf, lambda _chunks: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.device = None

    def start(self, **settings):
        """Power for the device."""
        (self.folder / "recording").write_text("quantities,1\n900,1000\n")
        config = {
            "device": DEVICE,
            "board": "unix",
            "broker": {"host": "127.0.0.1", "port": self.port, "username": DEVICE, "password": "d"},
            "state_dir": str(self.folder / "state"),
            "step_s": 900,
            "block_readings": 3,
            "meter": {"type": "replay", "file": str(self.folder / "recording")},
            "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": 1_721_001_600, "factor": 9000},
            "retry_ms_max": 500,
            **settings,
        }
        (self.folder / "device.json").write_text(json.dumps(config))
        (self.folder / "state" / "status.json").unlink(missing_ok=True)
        words = [BIN / "micropython", "-X", "heapsize=384k", HERE / "both" / "device_from_image.py"]
        self.device = subprocess.Popen([*words, HERE.parents[1] / "firmware", self.folder / "device.json"])

    def kill(self):
        self.device.kill()
        self.device.wait()

    def keys(self):
        """What the device is told of the commune."""
        return {"public_key": self.public_key, "genesis_sha256": GENESIS}

    def status(self, holds):
        """status.json once it says what is expected."""
        path = self.folder / "state" / "status.json"
        found = {}

        def look():
            if path.exists():
                found.update(json.loads(path.read_text()))
            return bool(found) and holds(found)

        wait_for(look, what="a status", timeout_s=PATIENCE_S)
        return found

    def relay(self):
        return (self.folder / "state" / "relay").read_text().strip()

    def command(self, *words):
        """Sign and publish a command; its bytes."""
        signing = ("--key", self.key, "--genesis", GENESIS, "--broker-account", self.folder / "account.toml")
        return bytes.fromhex(commonwatt("device", "command", DEVICE, *words, *signing))

    def say(self, payload):
        self._gateway.publish(f"cw/{DEVICE}/cmd", payload, 1)

    def release(self, number, is_deaf=False, size=3_000):
        """Lay an image on the shelf."""
        head = b"TEST" + number.to_bytes(2, "little") + bytes([is_deaf])
        image = self.folder / "image.bin"
        image.write_bytes(head + random.Random(number).randbytes(size))
        words = ("--board", "unix", "--number", number, "--key", self.key, "--genesis", GENESIS)
        commonwatt("device", "release", image, *words, "--shelf", self.shelf)

    def update(self, **more):
        """The device's `update`."""
        return {**self.keys(), "url": f"http://127.0.0.1:{self.server.server_port}", "every_s": 0.2, **more}

    def end(self):
        if self.device is not None:
            self.kill()
        self.server.shutdown()
        self.server.server_close()
        self._gateway.disconnect()
        self._gateway.loop_stop()
        self._broker.kill()
        self._broker.wait()

    @staticmethod
    def _acknowledge(client, _data, message):
        seq = block.parse(cose.parse1(message.payload, size_max=1024).payload).seq
        ack = cbor.encode([1, seq, hashlib.sha256(message.payload).digest(), 0])
        client.publish(f"cw/{DEVICE}/ack", ack, 1)


class Shelf(http.server.BaseHTTPRequestHandler):
    """Serves the shelf in small pieces, and tells after each image piece how many there were."""

    def do_GET(self):
        path = self.server.folder / self.path.rpartition("/")[2]
        if not path.exists():
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        data = path.read_bytes()
        try:
            for at in range(0, len(data), 1000):
                self.wfile.write(data[at : at + 1000])
                if path.suffix == ".bin":
                    self.server.after(at // 1000)
        except OSError:
            pass  # the device is gone

    def log_message(self, *_):
        pass


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    yield home
    home.end()


def test_command_when_signed_at_the_command_line(home):
    """The relay moves once for each command; the same bytes again, another key and an older number move nothing."""
    home.start(control=home.keys())
    home.status(lambda status: status["link_up"])
    off = home.command("off")
    home.status(lambda status: status["commands_obeyed"] == 1)
    assert home.relay() == "off"
    home.command("on")
    home.status(lambda status: status["commands_obeyed"] == 2)
    assert home.relay() == "on"
    home.say(off)
    home.status(lambda status: status["commands_refused"] == {"7": 1})
    on = home.command("on")
    home.say(on)
    home.status(lambda status: status["commands_refused"] == {"6": 1, "7": 1})
    other = home.folder / "other"
    commonwatt("device", "key", other)
    counter = ("--counter", "100", "--key", other, "--genesis", GENESIS)
    home.say(bytes.fromhex(commonwatt("device", "command", DEVICE, "off", *counter)))
    home.status(lambda status: status["commands_refused"] == {"3": 1, "6": 1, "7": 1})
    assert home.relay() == "on"
    home.command("schedule", "daily 00:00 off")
    home.status(lambda status: not status["relay_on"])
    assert home.relay() == "off"


def test_release_when_installed_and_when_rolled_back(home):
    """A good image stays; one that cannot read its meter is gone after its minutes, and refused after three tries."""
    home.release(2)
    home.start(update=home.update())
    assert home.device.wait(PATIENCE_S) == RESTART
    home.start(update=home.update())
    home.status(lambda status: (status["version"], status["on_trial"]) == (2, False))
    home.release(3, is_deaf=True)
    for tries in (1, 2, 3):
        assert home.device.wait(PATIENCE_S) == RESTART  # it was fetched
        home.start(update=home.update(minutes=0.02))
        assert home.status(lambda status: "version" in status)["version"] == 3
        assert home.device.wait(PATIENCE_S) == RESTART  # it gave up
        home.start(update=home.update())
        status = home.status(lambda status: "version" in status)
        assert (status["version"], status["rollbacks"]) == (2, tries)
    home.status(lambda status: status["updates_refused"].get("6", 0) > 0)
    home.release(4)
    assert home.device.wait(PATIENCE_S) == RESTART
    home.start(update=home.update())
    home.status(lambda status: (status["version"], status["on_trial"]) == (4, False))


def test_release_when_the_power_goes_while_it_comes(home):
    """Killed at random pieces of the download, of the trial too: it always starts, and ends with the new image."""
    seed = 20240801
    print("seed", seed)
    chance = random.Random(seed)
    home.release(2, size=15_000)
    for _ in range(3):
        fatal = chance.randrange(15)
        home.server.after = lambda piece, fatal=fatal: home.device.kill() if piece == fatal else None
        home.start(update=home.update())
        home.device.wait(PATIENCE_S)
        home.server.after = lambda _piece: None
    home.start(update=home.update())
    assert home.device.wait(PATIENCE_S) == RESTART
    home.start(update=home.update(minutes=30))
    home.kill()  # at any moment of the trial
    for _ in range(3):
        home.start(update=home.update())
        if home.status(lambda status: "version" in status and not status["on_trial"])["version"] == 2:
            break
        assert home.device.wait(PATIENCE_S) == RESTART
    assert home.status(lambda status: "version" in status)["version"] == 2
