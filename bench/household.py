"""A home around one device, to see in how small a heap it lives: a broker, a gateway that answers, a person, a shelf.

The broker is a real nats-server, with TLS if asked for; the gateway takes blocks and acknowledges them by hash.
"""

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from commonwatt import block, cbor, cose
from commonwatt.demo.programs import answers, free_port, wait_for
from commonwatt.errors import UserError
from commonwatt.identity import SigningKey

DEVICE = "5a" * 16
BLOCKS = 6
"""What a device has to have acknowledged before it counts as living: the heap's pieces have gone round by then."""
PATIENCE_S = 20
IMAGE = bytes(range(256)) * 256
KEY = SigningKey.from_seed(bytes([6]) * 32)
GENESIS = hashlib.sha256(b"bench").digest()
_RESTART = 75
_SERVER = """
server_name: bench
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{folder}/nats" }}
mqtt {{ listen: "127.0.0.1:{port}"{tls} }}
authorization {{ users: [
  {{ user: gateway, password: g }}, {{ user: {device}, password: d }}, {{ user: d, password: p }}
] }}
"""
_TLS = '\n  tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key" }}\n'


class Household:
    """`modules` has the compiled firmware; `folder` is ours. A context: its programs end with it."""

    def __init__(self, folder: Path, modules: Path, micropython: Path, *, has_tls: bool) -> None:
        self._folder = folder
        self._modules = modules
        self._micropython = micropython
        self._has_tls = has_tls
        self._tries = 0
        self._acknowledged = 0
        self._port, self._page_port = free_port(), free_port()

    def __enter__(self) -> Self:
        if self._has_tls:
            make_certificates(self._folder)
        config = self._folder / "nats.conf"
        tls = _TLS.format(folder=self._folder) if self._has_tls else ""
        config.write_text(_SERVER.format(folder=self._folder, port=self._port, tls=tls, device=DEVICE))
        server = str(Path(sys.executable).with_name("nats-server"))
        self._broker = subprocess.Popen(
            [server, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: answers("127.0.0.1", self._port), what="the broker", timeout_s=PATIENCE_S)
        self._gateway = mqtt.Client(CallbackAPIVersion.VERSION2, "gateway")
        self._gateway.username_pw_set("gateway", "g")
        if self._has_tls:
            self._gateway.tls_set(str(self._folder / "ca.pem"))
        self._gateway.on_connect = lambda client, *_: client.subscribe("cw/+/block", 1)
        self._gateway.on_message = self._answer
        self._gateway.connect("localhost" if self._has_tls else "127.0.0.1", self._port)
        self._gateway.loop_start()
        self._shelf = _Shelf(("127.0.0.1", 0), _Files)
        threading.Thread(target=self._shelf.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shelf.shutdown()
        self._shelf.server_close()
        self._gateway.disconnect()
        self._gateway.loop_stop()
        self._broker.kill()
        self._broker.wait()

    def lives(self, what: str, heap: int) -> bool:
        """Whether a new device does this in so many bytes of heap: one of bench.firmware.LIVING."""
        self._tries += 1
        state = self._folder / f"state-{self._tries}"
        state.mkdir()
        config = self._configure(what, state)
        self._acknowledged = 0
        words = ["week", str(state), str(self._port), str(4 * BLOCKS)] if what == "week" else ["main", str(config)]
        command = [str(self._micropython), "-X", f"heapsize={heap}", "-m", *words]
        environment = {**os.environ, "MICROPYPATH": f"{self._modules}:.frozen"}
        device = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            return self._watch(what, device, state)
        finally:
            device.kill()
            device.wait()

    def _watch(self, what: str, device: "subprocess.Popen[bytes]", state: Path) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        is_told = what != "set_up"
        while device.poll() is None and time.monotonic() < deadline:
            if what in ("main", "tls") and self._acknowledged >= BLOCKS:
                return True
            is_told = is_told or self._tell(state / "label")
            time.sleep(0.02)
        code = device.poll()
        if what == "week":
            return code == 0
        # A device also restarts when it runs out of memory: what counts is what it leaves behind.
        return code == _RESTART and what in ("set_up", "update") and _is_done(what, state)

    def _tell(self, label: Path) -> bool:
        """Fill in the page as a person does; whether it was there and took it."""
        try:
            code = json.loads(label.read_text())["code"]
            form = {"code": code, "gateway": f"127.0.0.1:{self._port}", "gateway_password": "d", "account": "0a" * 16}
            data = urllib.parse.urlencode(form).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{self._page_port}/", data, 2) as answer:
                return bool(answer.status == http.HTTPStatus.OK)
        except (OSError, ValueError):
            return False

    def _configure(self, what: str, state: Path) -> Path:
        (self._folder / "recording").write_text("quantities,1,2\n900,1000,7\n")
        broker: dict[str, Any] = {"port": self._port, "username": DEVICE, "password": "d"}
        config: dict[str, Any] = {
            "device": DEVICE,
            "board": "unix",
            "broker": broker,
            "state_dir": str(state),
            "step_s": 900,
            "block_readings": 4,
            "meter": {"type": "replay", "file": str(self._folder / "recording")},
            "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": 1_721_001_600, "factor": 18_000},
            "retry_ms_max": 500,
            "set_up_port": self._page_port,
        }
        if what != "set_up":
            broker["host"] = "localhost" if what == "tls" else "127.0.0.1"
        if what == "tls":
            broker["tls"] = {"ca": str(self._folder / "ca.pem")}
        if what == "update":
            url = f"http://127.0.0.1:{self._shelf.server_address[1]}"
            keys = {"public_key": KEY.public_key.hex(), "genesis_sha256": GENESIS.hex()}
            config["update"] = {**keys, "url": url, "every_s": 1}
        path = self._folder / "device.json"
        path.write_text(json.dumps(config))
        return path

    def _answer(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        seq = block.parse(cose.parse1(bytes(message.payload), size_max=1024).payload).seq
        self._acknowledged = max(self._acknowledged, seq)
        ack = cbor.encode([1, seq, hashlib.sha256(message.payload).digest(), 0])
        client.publish(message.topic.removesuffix("block") + "ack", ack, 1)


def _is_done(what: str, state: Path) -> bool:
    """Whether a set-up kept what it was told, or an update lies whole in its slot and is to be tried."""
    if what == "set_up":
        return (state / "config").exists()
    images, boot = state / "images", state / "boot"
    return images.exists() and IMAGE in images.read_bytes() and boot.exists() and set(boot.read_bytes()) != {0xFF}


class _Shelf(http.server.ThreadingHTTPServer):
    """The web server that updates lie on."""

    daemon_threads = True


class _Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """The manifest, or its image."""
        data = IMAGE if self.path.endswith(".bin") else _manifest()
        self.send_response(http.HTTPStatus.OK)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _manifest() -> bytes:
    payload = cbor.encode([1, "unix", 2, len(IMAGE), hashlib.sha256(IMAGE).digest()])
    return cose.sign1(payload, KEY, cose.external_aad("update", GENESIS))


def make_certificates(folder: Path) -> None:
    """A commune's certificate authority, ca.pem, and a broker's certificate for localhost; elliptic curves."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise UserError("certificates are made by openssl", to_do="apt install openssl")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-x509", "-days", "30", "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.pem"]
    server = ["-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"]
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signing = ["-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.pem"]
    for words in (
        ["req", *key, *authority],
        ["req", *key, *server],
        ["x509", "-req", "-days", "30", *signing, "-extfile", "names"],
    ):
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)
