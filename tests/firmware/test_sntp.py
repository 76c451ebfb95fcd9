"""The time client on both interpreters against a real, tiny time server."""

import subprocess
import sys
import threading
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
TIME_S = 1_721_001_600
ASK = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from node import sntp
print(asyncio.run(sntp.ask("127.0.0.1", int(sys.argv[2]), b"cookie!!", int(sys.argv[3]))))
"""


@pytest.fixture
def server():
    """The port of a server that answers one question with the time."""
    listener = socket(AF_INET, SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))

    def serve():
        question, asker = listener.recvfrom(100)
        if question:
            seconds = (TIME_S + 2_208_988_800).to_bytes(4, "big")
            listener.sendto(b"\x24\x02" + bytes(22) + question[40:48] + bytes(8) + seconds + bytes(4), asker)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.sendto(b"", listener.getsockname())
    thread.join()
    listener.close()


@pytest.mark.parametrize("interpreter", [sys.executable, Path(sys.executable).parent / "micropython"])
def test_sntp_when_a_server_answers(interpreter, server, tmp_path):
    """The answer is the server's time and half the way."""
    (tmp_path / "ask.py").write_text(ASK)
    done = subprocess.run(
        [interpreter, tmp_path / "ask.py", FIRMWARE, str(server), "30000"], capture_output=True, text=True, check=True
    )
    assert 0 <= int(done.stdout) - TIME_S * 1000 <= 15_000


def test_sntp_when_nobody_answers(tmp_path):
    """A silent server is an OSError after the time-out, not a hang."""
    (tmp_path / "ask.py").write_text(ASK)
    with socket(AF_INET, SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = str(silent.getsockname()[1])
        done = subprocess.run([sys.executable, tmp_path / "ask.py", FIRMWARE, port, "50"], capture_output=True)
    assert done.returncode == 1
    assert b"BlockingIOError" in done.stderr
