"""A real MicroPython speaks TLS to a real nats-server with a commune's own certificate authority."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl (apt: openssl)"),
]

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
DEVICE = "cd" * 16
PATIENCE_S = 30

CONFIG = """
server_name: tls
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{folder}/nats" }}
mqtt {{
  listen: "127.0.0.1:{port}"
  tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", ca_file: "{folder}/ca.pem" }}
}}
authorization {{ users: [ {{ user: {device}, password: d }} ] }}
"""

# The device's own link, until it is up or has failed three times; prints what it counted.
PROBE = """
import asyncio, json, sys
sys.path.insert(0, "firmware")
from node.link import Link

async def main(broker):
    changed = asyncio.Event()
    link = Link(broker, broker["username"], ["cw/x/ack"], print, changed.set, lambda: 0.0, retry_ms_max=50)
    task = asyncio.create_task(link.run())
    while not link.is_up and link.failures < 3:
        await asyncio.sleep(0.02)
    print(json.dumps({"up": link.is_up, "reasons": link.reasons}))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass

asyncio.run(main(json.loads(sys.argv[1])))
"""


def _openssl(folder, *words):
    subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)


def _authority(folder, name):
    """A certificate authority of its own: NAME.pem and NAME.key."""
    subject = ("-subj", f"/CN={name}")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(folder, "req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", 2, *subject)


def _certificate(folder, name, common_name):
    """NAME.pem and NAME.key, signed by ca, valid for `common_name`."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={common_name}")
    (folder / "names").write_text(f"subjectAltName=DNS:{common_name}\n")
    signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    _openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.pem", "-days", 2, "-extfile", "names"
    )


@pytest.fixture
def authorities(tmp_path):
    """The commune's authority and a stranger's; the broker's certificate."""
    _authority(tmp_path, "ca")
    _authority(tmp_path, "stranger")
    _certificate(tmp_path, "server", "localhost")
    return tmp_path


def _start(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nats.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, device=DEVICE))
    broker = subprocess.Popen(
        [BIN / "nats-server", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return broker, port
        except OSError:
            assert broker.poll() is None
            time.sleep(0.05)
    raise AssertionError("the broker does not listen")


def _connect(folder, port, host="localhost", **tls):
    """What the device's link says of this broker."""
    files = {name: str(folder / file) for name, file in tls.items()}
    settings = {"host": host, "port": port, "username": DEVICE, "password": "d", "tls": files}
    probe = folder / "probe.py"
    probe.write_text(PROBE)
    done = subprocess.run(
        [BIN / "micropython", probe, json.dumps(settings)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_tls_when_the_broker_is_the_communes(authorities):
    """It connects to the broker whose certificate the commune's authority signed, and to no other."""
    broker, port = _start(authorities)
    try:
        assert _connect(authorities, port, ca="ca.pem") == {"up": True, "reasons": {}}
        assert _connect(authorities, port, ca="stranger.pem") == {"up": False, "reasons": {"tls": 3}}
        assert _connect(authorities, port, host="127.0.0.1", ca="ca.pem") == {"up": False, "reasons": {"tls": 3}}
    finally:
        broker.kill()
        broker.wait()
