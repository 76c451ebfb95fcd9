"""A real MicroPython, a real broker, a real journal on disk, and SIGKILL: the device from outside."""

import hashlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from commonwatt import block, cbor, cose
from commonwatt.identity import is_signed_by

pytestmark = pytest.mark.story

BIN = Path(sys.executable).parent
MAIN = Path(__file__).parent.parent.parent / "firmware" / "main.py"
DEVICE = "ab" * 16
PATIENCE_S = 60
STEP_S = 900
START_S = 1_721_001_600
ROWS = 60
WALL_S_PER_STEP = 0.1

CONFIG = """
server_name: story
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{store}" }}
mqtt {{ listen: "127.0.0.1:{port}" }}
authorization {{ users: [
  {{ user: gateway, password: g }}
  {{ user: {device}, password: d
     permissions: {{ publish: ["cw.{device}.block"], subscribe: ["cw.{device}.ack"] }} }}
] }}
"""


class Process:
    """A program that can be killed and started again."""

    def __init__(self, *arguments):
        self._arguments = [str(argument) for argument in arguments]
        self._running = None

    def start(self):
        self._running = subprocess.Popen(self._arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        self._running.send_signal(signal.SIGKILL)
        self._running.wait()

    def is_alive(self):
        return self._running.poll() is None


class Gateway:
    """Takes blocks and acknowledges them by hash, except those that it is told to leave unanswered once."""

    def __init__(self, port):
        self.received = []
        self.silent_about = set()
        self._changed = threading.Condition()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "gateway")
        self._client.username_pw_set("gateway", "g")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("cw/+/block", 1)
        self._client.on_message = self._on_message
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def until(self, holds):
        """Wait until `holds()` after some message."""
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE_S)

    def blocks(self):
        """What was received, each block once, by seq; two spellings of one seq are an error."""
        by_seq = {}
        for signed in self.received:
            seq = block.parse(cose.parse1(signed, size_max=1024).payload).seq
            assert by_seq.setdefault(seq, signed) == signed
        return by_seq

    def stop(self):
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, client, _userdata, message):
        seq = block.parse(cose.parse1(message.payload, size_max=1024).payload).seq
        with self._changed:
            self.received.append(message.payload)
            if seq in self.silent_about:
                self.silent_about.discard(seq)
            else:
                ack = cbor.encode([1, seq, hashlib.sha256(message.payload).digest(), 0])
                client.publish(f"cw/{DEVICE}/ack", ack, 1)
            self._changed.notify_all()


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def broker(tmp_path, port):
    config = tmp_path / "nats.conf"
    config.write_text(CONFIG.format(store=tmp_path / "nats", port=port, device=DEVICE))
    process = Process(BIN / "nats-server", "-c", config)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def gateway(broker, port):
    gateway = Gateway(port)
    yield gateway
    gateway.stop()


@pytest.fixture
def recording(tmp_path):
    """Registers in whole Wh by time: two meters of random appetite, seeded."""
    appetite = random.Random(4)
    rows, import_wh, export_wh = {}, 1_000_000, 500
    for number in range(ROWS):
        rows[START_S + STEP_S * number] = (import_wh, export_wh)
        import_wh += appetite.choice([0, 7, 250, 900])
        export_wh += appetite.choice([0, 0, 300])
    lines = [f"{time_s},{wh},{other}\n" for time_s, (wh, other) in rows.items()]
    (tmp_path / "recording").write_text("quantities,1,2\n" + "".join(lines))
    return rows


def _configure(tmp_path, port):
    """The device's configuration file; its civil time begins a little before the recording."""
    factor = STEP_S / WALL_S_PER_STEP
    path = tmp_path / "device.json"
    config = {
        "device": DEVICE,
        "broker": {"host": "127.0.0.1", "port": port, "username": DEVICE, "password": "d"},
        "state_dir": str(tmp_path / "state"),
        "step_s": STEP_S,
        "block_readings": 3,
        "meter": {"type": "replay", "file": str(tmp_path / "recording")},
        "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": START_S, "factor": factor},
        "retry_ms_max": 500,
    }
    path.write_text(json.dumps(config))
    return path


def _identity(path):
    done = subprocess.run([BIN / "micropython", MAIN, path, "--identity"], capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def test_identity_when_asked_twice(tmp_path, port):
    """The first boot makes the key; every later one tells the same."""
    path = _configure(tmp_path, port)
    first = _identity(path)
    assert first["device"] == DEVICE
    assert len(bytes.fromhex(first["public_key"])) == 32
    assert _identity(path) == first


def test_identity_when_the_key_file_is_not_one(tmp_path, port):
    """The device says so; it does not become another device."""
    path = _configure(tmp_path, port)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "key").write_text("a shopping list\n")
    command = [BIN / "micropython", MAIN, path, "--identity"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert "not a key file" in done.stdout


def test_device_when_killed_again_and_again(tmp_path, port, broker, gateway, recording):
    """Killed with unanswered blocks under way, and its broker too: one chain, same bytes, no watt-hour lost."""
    path = _configure(tmp_path, port)
    public_key = bytes.fromhex(_identity(path)["public_key"])
    device = Process(BIN / "micropython", "-X", "heapsize=256k", MAIN, path)
    device.start()
    seed = 20240715
    print("seed", seed)
    chance = random.Random(seed)
    try:
        for victim in (device, device, broker, device, broker, device):
            seq = 1 + max(gateway.blocks(), default=0) + chance.randrange(3)
            gateway.silent_about.add(seq)
            gateway.until(lambda seq=seq: seq in gateway.blocks())
            victim.kill()
            victim.start()
        end_s = max(recording)
        gateway.until(lambda: _parsed(gateway)[-1].end_s >= end_s)
        last = max(gateway.blocks())
        gateway.until(lambda: sorted(gateway.blocks())[: last + 1] == list(range(last + 1)))
        assert device.is_alive()
    finally:
        device.kill()
    assert len(gateway.received) > len(gateway.blocks())
    _assert_one_chain(gateway.blocks(), public_key)
    _assert_registers(_parsed(gateway), recording)


def _parsed(gateway):
    payloads = [cose.parse1(signed, size_max=1024).payload for _seq, signed in sorted(gateway.blocks().items())]
    return [block.parse(payload) for payload in payloads]


def _assert_one_chain(by_seq, public_key):
    """Contiguous seq, each block naming the one before, every signature the device's by libsodium."""
    link = block.FIRST_LINK
    for place, (seq, signed) in enumerate(sorted(by_seq.items())):
        message = cose.parse1(signed, size_max=1024)
        assert seq == place
        assert block.parse(message.payload).prev == link
        assert is_signed_by(public_key, message.signature, cose.to_be_signed(message.payload, block.AAD))
        link = block.link(signed)


def _assert_registers(blocks, recording):
    """Every reading is the recording's at its time, times only grow, and the last register was reached."""
    end_s = max(recording)
    readings = [reading for parsed in blocks for reading in parsed.readings()]
    times_s = [time_s for time_s, _ in readings]
    assert times_s == sorted(set(times_s))
    for time_s, registers_wh in readings:
        assert registers_wh == recording[min(time_s, end_s)]
    assert readings[-1][1] == recording[end_s]
    assert any(parsed.flags & block.FLAG_POWER_LOST for parsed in blocks)
