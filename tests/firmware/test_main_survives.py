"""A real MicroPython runs the real main.py into everything bad: each ends in a counted, reported state.

Never in a crash loop, and never in a register that no meter showed. Forged commands: test_services_story.py.
"""

import contextlib
import json
import os
import pty
import random
import socket
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from commonwatt import block, cose
from commonwatt.clock import CivilClock
from commonwatt.demo.programs import wait_for
from commonwatt.errors import FormatError
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from gateway.devices.time_answers import TimeDesk
from tests.firmware import house_broker

pytestmark = pytest.mark.story

BIN = Path(sys.executable).parent
MAIN = Path(__file__).parents[2] / "firmware" / "main.py"
DEVICE = "ad" * 16
T = 1_721_001_600
PATIENCE_S = 30
RESTART = 75
NOBODY = 1  # a port that refuses


@pytest.fixture
def port(tmp_path):
    """A broker where nobody acknowledges anything."""
    with house_broker.running(tmp_path, DEVICE) as port:
        yield port


class Device:
    """The program, its folder and what it says."""

    def __init__(self, folder, port=NOBODY, **settings):
        self.state = folder / "state"
        self.state.mkdir(exist_ok=True)
        (folder / "recording").write_text("quantities,1,2\n900,1000,5\n")
        config = {
            "device": DEVICE,
            "broker": {"host": "127.0.0.1", "port": port, "username": DEVICE, "password": "d"},
            "state_dir": str(self.state),
            "step_s": 900,
            "block_readings": 3,
            "meter": {"type": "replay", "file": str(folder / "recording")},
            "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": T, "factor": 36000},
            "retry_ms_max": 200,
            **settings,
        }
        if "time" in config:
            del config["clock"]
        self._path = folder / "device.json"
        self._path.write_text(json.dumps(config))
        self.process = None

    def __enter__(self):
        (self.state / "status.json").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [BIN / "micropython", "-X", "heapsize=256k", MAIN, self._path],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def until(self, holds):
        """The status once it holds this; the device must be alive then."""
        found = {}

        def look():
            assert self.process.poll() is None, self.process.stdout.read()
            try:
                found.update(json.loads((self.state / "status.json").read_text()))
            except FileNotFoundError:
                return False
            return holds(found)

        wait_for(look, what="a status", timeout_s=PATIENCE_S)
        return found


def _ran(folder, blocks=4):
    """A device that has lived for some blocks and was cut; its last status."""
    with Device(folder) as device:
        return device.until(lambda status: status["next_seq"] >= blocks)


def _states(port, holds):
    """What the broker keeps on the device's state once it holds this."""
    seen = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "person")
    client.username_pw_set("person", "p")
    client.on_connect = lambda client, *_: client.subscribe(f"cw/{DEVICE}/state", 1)
    client.on_message = lambda _client, _data, message: seen.append(json.loads(message.payload))
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait_for(lambda: any(map(holds, list(seen))), what="a state", timeout_s=PATIENCE_S)
        return next(filter(holds, list(seen)))
    finally:
        client.disconnect()
        client.loop_stop()


def test_main_when_its_key_file_is_none(tmp_path, port):
    """Nothing is signed and no other key is made; the device is online and says what is wrong."""
    with Device(tmp_path, port) as device:
        key = device.state / "key"
        device.until(lambda status: status["next_seq"] > 0)
    key.write_text("a shopping list\n")
    with Device(tmp_path, port) as device:
        status = device.until(lambda status: status["link_up"])
        assert "not a key file" in status["faults"]["key"]
        assert "samples_taken" not in status
        told = _states(port, lambda state: "faults" in state)
        assert (told["state"], list(told["faults"])) == ("online", ["key"])
    assert key.read_text() == "a shopping list\n"


def test_main_when_its_meter_is_none(tmp_path, port):
    """A driver that does not exist is a reported fault; what was signed before is still delivered."""
    _ran(tmp_path)
    with Device(tmp_path, port, meter={"type": "crystal-ball"}) as device:
        status = device.until(lambda status: status["link_up"] and status["sent"] > 0)
        assert "ImportError" in status["faults"]["meter"]


@pytest.mark.parametrize("harm", ["random", "erased", "truncated", "flipped"])
def test_main_when_the_journal_is_harmed(tmp_path, harm):
    """It goes on: no seq is used twice, and the harm is counted where there is anything left to tell it by."""
    seed = 20240716
    print("seed", seed)
    chance = random.Random(seed)
    before = _ran(tmp_path)["next_seq"]
    journal = tmp_path / "state" / "journal.flash"
    data = bytearray(journal.read_bytes())
    if harm == "random":
        data = bytearray(chance.randbytes(len(data)))
    elif harm == "erased":
        data = bytearray(b"\xff" * len(data))
    elif harm == "truncated":
        data = data[: 9 * 4096]  # the samples' sectors and one more
    else:
        used = [at for at, byte in enumerate(data) if byte not in (0, 255)]
        for at in chance.sample(used, 20):
            data[at] ^= 1 << chance.randrange(8)
    journal.write_bytes(data)
    with Device(tmp_path) as device:
        status = device.until(lambda status: status["next_seq"] > before + 2 and status["backlog"] > 0)
        assert status["faults"] == {}
        assert status["journal_damaged"] + status["journal_lost"] + status["journal_wiped"] > 0
    if harm != "flipped":
        assert status["journal_wiped"]
        assert min(parsed.seq for parsed in _blocks(device)) >= before, "nobody knows what was signed before"


def test_main_when_the_count_of_starts_is_garbage(tmp_path):
    """It counts anew."""
    _ran(tmp_path)
    (tmp_path / "state" / "starts").write_bytes(random.Random(1).randbytes(2048))
    with Device(tmp_path) as device:
        assert device.until(lambda status: status["samples_taken"] > 0)["boots"] == 1


def test_main_when_five_starts_came_to_nothing(tmp_path, port):
    """Safe mode: nothing is measured, the relay stays, the device is online and says so."""
    for _ in range(5):
        with Device(tmp_path, control={}) as device:
            device.until(lambda status: status["boots_failed"] > 0)
    with Device(tmp_path, port, control={}) as device:
        told = _states(port, lambda state: "faults" in state)
        assert (told["safe_mode"], told["boots"], told["boots_failed"]) == (True, 6, 6)
        assert list(told["faults"]) == ["boots"]
        assert "samples_taken" not in device.until(lambda status: status["link_up"])
        assert (device.state / "relay").read_text() == "on\n"


def test_main_when_it_makes_a_mistake(tmp_path):
    """Our own error ends the start, is kept, and told by the next one."""
    with Device(tmp_path, retry_ms_max="soon") as device:
        assert device.process.wait(PATIENCE_S) == RESTART
    with Device(tmp_path) as device:
        status = device.until(lambda status: status["samples_taken"] > 0)
        assert status["crashes"] == 1
        assert status["last_crash"].startswith("TypeError")


class Impostor(threading.Thread):
    """A broker that takes a connection, confirms everything up to the subscription, and hangs up."""

    def __init__(self):
        super().__init__()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0

    def run(self):
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):  # the device may be killed meanwhile
                self.connections += 1
                connection.recv(1024)
                connection.sendall(b"\x20\x02\x00\x00")
                connection.recv(1024)
                connection.sendall(b"\x90\x03\x00\x01\x01")

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join()


def test_main_when_the_broker_accepts_and_drops(tmp_path):
    """Every connection is counted by its reason, with pauses; blocks wait in the journal."""
    impostor = Impostor()
    impostor.start()
    try:
        with Device(tmp_path, impostor.port) as device:
            status = device.until(
                lambda status: status["link_reasons"].get("dropped", 0) > 3 and status["backlog"] > 3
            )
            assert status["acknowledged"] == 0
            assert impostor.connections < 100
    finally:
        impostor.stop()


class Timekeeper(threading.Thread):
    """A time server (SNTP) that is `wrong_s` off."""

    def __init__(self):
        super().__init__()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.wrong_s = 0

    def run(self):
        while question := self._socket.recvfrom(100):
            data, asker = question
            if not data:
                return
            now_s = int(time.time()) + self.wrong_s + 2_208_988_800
            answer = b"\x24\x02" + bytes(22) + data[40:48] + bytes(8) + now_s.to_bytes(4, "big") + bytes(4)
            self._socket.sendto(answer, asker)

    def stop(self):
        self._socket.sendto(b"", self._socket.getsockname())
        self.join()
        self._socket.close()


def test_main_when_a_time_server_lies_by_a_day(tmp_path):
    """The lie is refused and counted, whichever way it goes; samples keep their true times."""
    server = Timekeeper()
    server.start()
    settings = {"step_s": 1, "time": {"server": "127.0.0.1", "port": server.port, "every_s": 1}}
    try:
        with Device(tmp_path, **settings) as device:
            device.until(lambda status: status["time_known"] and status["samples_taken"] > 0)
            for wrong_s in (86_400, -86_400):
                server.wrong_s = wrong_s
                refused = device.until(lambda _status: True)["time_refused"]
                device.until(lambda status, refused=refused: status["time_refused"] > refused)
            taken = device.until(lambda _status: True)["samples_taken"]
            device.until(lambda status: status["samples_taken"] > taken and status["next_seq"] > 0)
        times_s = [reading for parsed in _blocks(device) for reading, _registers in parsed.readings()]
        assert times_s == sorted(set(times_s))
        assert all(abs(time_s - time.time()) < 3600 for time_s in times_s)
    finally:
        server.stop()


def _blocks(device):
    """The signed blocks that lie in the journal's flash, by their own bytes."""
    data = (device.state / "journal.flash").read_bytes()
    found, at = [], data.find(b"\xd2\x84")
    while at >= 0:
        size = int.from_bytes(data[at - 20 : at - 18], "little") - 16
        if 64 < size <= 1024:
            with contextlib.suppress(FormatError):
                found.append(block.parse(cose.parse1(data[at : at + size], size_max=1024).payload))
        at = data.find(b"\xd2\x84", at + 2)
    return sorted(found, key=lambda parsed: parsed.seq)


class Meter(threading.Thread):
    """A Modbus meter at the far end of a line: answers as `answer(question)` says, bytes and a delay."""

    def __init__(self, answer):
        super().__init__()
        self._near, far = pty.openpty()
        tty.setraw(far)
        self.path = os.ttyname(far)
        self._far = far  # held open, so that the line outlives the device
        self.answer = answer
        self.asked = 0
        self._is_over = False

    def run(self):
        said = b""
        while not self._is_over:
            said += os.read(self._near, 64)
            while len(said) >= 8 and not self._is_over:
                question, said = said[:8], said[8:]
                self.asked += 1
                data, delay_s = self.answer(question)
                time.sleep(delay_s)
                os.write(self._near, data)

    def stop(self):
        self._is_over = True
        os.write(self._far, b"\0")
        self.join()
        os.close(self._near)
        os.close(self._far)


def _crc(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def _answer(question, unit=1, wh=4_321_000):
    """What an iEM3155 of this register says: 64-bit whole Wh."""
    count = question[5]
    body = bytes([unit, question[1], 2 * count]) + wh.to_bytes(8, "big") * (count // 4)
    return body + _crc(body)


TROUBLES = {
    "garbage": (lambda question: (random.Random(question).randbytes(40), 0), ("modbus_crc", "modbus_other_unit")),
    "late": (lambda question: (_answer(question, wh=9_999_999_999), 0.35), ("modbus_timeout", "modbus_late")),
    "other": (lambda question: (_answer(question, 7, 9_999_999_999), 0), ("modbus_other_unit",)),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_main_when_its_meter_answers_wrongly(tmp_path, trouble):
    """What is wrong on the line is counted by its kind and believed by nobody; the true register is, afterwards."""
    wrong, counts = TROUBLES[trouble]
    meter = Meter(wrong)
    meter.start()
    settings = {"table": "schneider-iem3155", "unit": 1, "poll_ms": 50, "timeout_ms": 100}
    try:
        with Device(tmp_path, line=meter.path, meter={"type": "modbus", **settings}) as device:
            status = device.until(lambda status: any(status["meter"].get(name) for name in counts))
            assert status["samples_taken"] == 0
            assert status["next_seq"] == 0
            meter.answer = lambda question: (_answer(question), 0)
            device.until(lambda status: status["next_seq"] > 1)
        registers = {wh for parsed in _blocks(device) for _time_s, values in parsed.readings() for wh in values}
        assert registers == {4_321_000}
    finally:
        meter.stop()


class Desk:
    """The gateway's own time desk behind the broker, with a key of its own."""

    def __init__(self, port, key):
        self._desk = TimeDesk(key=key, civil=CivilClock())
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "gateway")
        self._client.username_pw_set("person", "p")
        self._client.on_connect = lambda client, *_: client.subscribe("cw/+/time", 1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, client, _userdata, message):
        answer = self._desk.answer(Message(message.topic, message.payload), may_sign=True)
        assert answer is not None
        client.publish(answer.topic, answer.payload, 1)

    def stop(self):
        self._client.disconnect()
        self._client.loop_stop()


def test_main_when_an_impostor_tells_the_time(tmp_path, port):
    """He is refused and readings stay undated; after a power cut they are counted. The gateway is believed."""
    key = SigningKey.from_seed(bytes([3]) * 32)
    meter = Meter(lambda question: (_answer(question), 0))
    meter.start()
    impostor = Desk(port, SigningKey.from_seed(bytes([4]) * 32))
    settings = {"type": "modbus", "table": "schneider-iem3155", "unit": 1, "poll_ms": 50, "timeout_ms": 100}
    given = {"step_s": 1, "line": meter.path, "meter": settings}
    given["time"] = {"gateway": key.public_key.hex(), "every_s": 1}
    try:
        with Device(tmp_path, port, **given) as device:
            status = device.until(lambda status: status["time_refused"] > 0 and status["samples_undated"] > 0)
            assert (status["time_known"], status["samples_taken"], status["next_seq"]) == (False, 0, 0)
        impostor.stop()
        impostor = Desk(port, key)
        with Device(tmp_path, port, **given) as device:
            status = device.until(lambda status: status["next_seq"] > 0)
            assert status["journal_undatable"] > 0, "of the start before"
        for parsed in _blocks(device):
            for time_s, registers in parsed.readings():
                assert abs(time_s - time.time()) < 3600
                assert set(registers) == {4_321_000}
    finally:
        impostor.stop()
        meter.stop()
