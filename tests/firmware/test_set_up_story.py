"""A new device is set up by a real HTTP client or over a real pty, with a real broker, in a real MicroPython."""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
import tty
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from bench.household import make_certificates
from commonwatt import cbor, cose, device_label
from commonwatt.demo.programs import free_port, wait_for
from commonwatt.identity import is_signed_by
from tests.firmware import house_broker

pytestmark = pytest.mark.story

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PATIENCE_S = 30
ACCOUNT = "0a" * 16
WIFI_PASSWORD = "long enough"


class Home:
    """A house with a network, a gateway's broker, and a device that was just unpacked."""

    def __init__(self, folder, **settings):
        self.folder = folder
        self.http_port, self.dns_port, self.mqtt_port = free_port(), free_port(), free_port()
        (folder / "recording").write_text("quantities,1\n900,1000\n")
        self._config, self._air = folder / "device.json", folder / "air.json"
        config = {
            "state_dir": str(folder / "state"),
            "step_s": 900,
            "block_readings": 3,
            "meter": {"type": "replay", "file": str(folder / "recording")},
            "clock": {"wall_anchor_s": time.time(), "civil_anchor_s": 1_721_001_600, "factor": 9000},
            "retry_ms_max": 500,
            **settings,
        }
        self._config.write_text(json.dumps(config))
        air = {"http_port": self.http_port, "dns_port": self.dns_port, "networks": {"home": WIFI_PASSWORD}}
        self._air.write_text(json.dumps(air))
        self._programs = []

    def switch_on(self, console=subprocess.DEVNULL):
        """The device gets power; its console is a file or nothing."""
        out = None if console == subprocess.DEVNULL else console
        words = [BIN / "micropython", "-X", "heapsize=256k", HERE / "both" / "device_with_radio.py"]
        words += [HERE.parents[1] / "firmware", self._air, self._config]
        device = subprocess.Popen(words, stdin=console, stdout=out)
        self._programs.append(device)
        wait_for(lambda: self._listens(self.http_port), what="the page", timeout_s=PATIENCE_S)
        return device

    def switch_on_again(self):
        """The device starts with what it was told."""
        words = [BIN / "micropython", "-X", "heapsize=256k", HERE / "both" / "device_with_radio.py"]
        device = subprocess.Popen([*words, HERE.parents[1] / "firmware", self._air, self._config])
        self._programs.append(device)
        return device

    def start_broker(self, tls=""):
        """The commune's gateway knows the device by its label."""
        self._programs.append(house_broker.start(self.folder, self.mqtt_port, self.label()[0], tls=tls))

    def label(self):
        """(device, code), as a person reads them."""
        label = json.loads((self.folder / "state" / "label").read_text())
        return label["device"], label["code"]

    def told(self):
        """What the set-up kept, or None."""
        path = self.folder / "state" / "config"
        return json.loads(path.read_text()) if path.exists() else None

    def page(self, path="/", form=None):
        """(status, text) of the page as a phone gets it."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", data, PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def page_says(self, words):
        wait_for(lambda: words in self.page()[1], what=words, timeout_s=PATIENCE_S)

    def raw(self, request):
        """What comes back for some bytes; nothing if the device hangs up."""
        with socket.create_connection(("127.0.0.1", self.http_port), PATIENCE_S) as line:
            try:
                line.sendall(request)
                line.shutdown(socket.SHUT_WR)
                return line.recv(65536)
            except OSError:
                return b""

    def form(self, **fields):
        """The form, filled in well."""
        return {
            "ssid": "home",
            "password": WIFI_PASSWORD,
            "gateway": f"127.0.0.1:{self.mqtt_port}",
            "gateway_password": "d",
            "code": device_label.content(bytes(16), self.label()[1])[-12:].lower(),
            "account": ACCOUNT.upper(),
            **fields,
        }

    def radio(self):
        """What the radio was asked for."""
        return (self.folder / "air.json.log").read_text().splitlines()

    def end(self):
        for program in self._programs:
            program.kill()
            program.wait()

    @staticmethod
    def _listens(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    yield home
    home.end()


def _claim(home):
    """The retained claim, as whoever passes it on sees it."""
    claims = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "person")
    client.username_pw_set("person", "p")
    client.on_message = lambda _client, _data, message: claims.append((message.topic, message.payload))
    client.on_connect = lambda client, *_: client.subscribe("cw/+/claim", 1)
    client.connect("127.0.0.1", home.mqtt_port)
    client.loop_start()
    try:
        wait_for(lambda: claims, what="a claim", timeout_s=PATIENCE_S)
    finally:
        client.disconnect()
        client.loop_stop()
    return claims[0]


def _ask_name(home, query):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(PATIENCE_S)
        line.sendto(b"\xff", ("127.0.0.1", home.dns_port))  # no question: no answer, and no harm
        line.sendto(bytes(600), ("127.0.0.1", home.dns_port))
        line.sendto(query, ("127.0.0.1", home.dns_port))
        return line.recv(1024)


def test_set_up_by_its_page(home):
    """Mistakes are told in words and keep nothing; then the device restarts, connects, and publishes its claim."""
    device = home.switch_on()
    name, code = home.label()
    assert home.radio() == [f"open Commonwatt-{name[:4].upper()} {code}"]
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02fr\x00\x00\x01\x00\x01"
    assert _ask_name(home, query).endswith(b"\x00\x04\x7f\x00\x00\x01")
    assert "<form" in home.page("/generate_204")[1]
    assert home.page("/", home.form(code="0" * 10))[0] == 400
    assert "digits" in home.page("/", home.form(account="me"))[1]
    for fields, words in [
        ({"password": "wrong wrong"}, "does not take the meter"),
        ({}, "does not answer"),
    ]:
        assert home.page("/", home.form(**fields))[0] == 200
        home.page_says(words)
    home.start_broker()
    home.page("/", home.form(gateway_password="wrong"))
    home.page_says("refuses meter " + name)
    assert home.told() is None
    assert device.poll() is None
    home.page("/", home.form())
    assert device.wait(PATIENCE_S) == 75
    assert home.radio()[-1] == "close"
    assert home.told()["wifi"] == {"ssid": "home", "password": WIFI_PASSWORD}

    home.switch_on_again()
    topic, signed = _claim(home)
    message = cose.parse1(signed, size_max=1024)
    version, device_id, public_key, account, code_sha256 = cbor.decode(message.payload, size_max=1024)
    assert topic == f"cw/{name}/claim"
    assert (version, device_id.hex(), account.hex()) == (1, name, ACCOUNT)
    assert code_sha256.hex() == device_label.claim_hash(bytes.fromhex(name), code)
    aad = cose.external_aad("claim")
    assert is_signed_by(public_key, message.signature, cose.to_be_signed(message.payload, aad))
    status = home.folder / "state" / "status.json"
    wait_for(
        lambda: status.exists() and json.loads(status.read_text())["samples_taken"] > 0,
        what="a sample",
        timeout_s=PATIENCE_S,
    )


def test_set_up_when_the_page_is_attacked(home):
    """Too much, half a request, other characters, too many at once: refused, and the page is still there."""
    home.switch_on()
    for request, answer in [
        (b"POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n" + bytes(9999), b""),
        (b"x" * 300_000, b""),
        (b"GET / HTTP/1.1\r\nHost:", b""),
        (b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\nssid=", b""),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b""),
        (b"POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\nssid=%ff", b"HTTP/1.0 400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\nssid=\xff\xfe", b"HTTP/1.0 400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.0 400"),
    ]:
        wait_for(lambda r=request, a=answer: home.raw(r)[:12] == a, what=str(request[:60]), timeout_s=PATIENCE_S)
    wait_for(lambda: _is_turned_away(home), what="being turned away", timeout_s=PATIENCE_S)
    wait_for(lambda: home.raw(b"GET / HTTP/1.0\r\n\r\n"), what="the page", timeout_s=PATIENCE_S)
    assert home.page()[0] == 200
    assert home.told() is None


def _is_turned_away(home):
    """Whether a fifth phone is hung up on while four others say nothing."""
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(socket.create_connection(("127.0.0.1", home.http_port)))
        return home.raw(b"GET / HTTP/1.0\r\n\r\n") == b""


def _packet(kind, data, error=0):
    """An Improv packet, as a browser sends it."""
    head = b"IMPROV\x01" + bytes([kind, len(data)]) + data
    return head + bytes([(sum(head) + error) & 0xFF]) + b"\n"


def _wifi(ssid, password):
    texts = b"".join(bytes([len(text)]) + text.encode() for text in (ssid, password))
    return _packet(3, bytes([1, len(texts)]) + texts)


class Line:
    """A pty with the device's console on its other end; raw, as a serial port is."""

    def __init__(self):
        self._ours, self.theirs = os.openpty()
        tty.setraw(self.theirs)
        self._heard = b""

    def say(self, data):
        os.write(self._ours, data)

    def hear(self, packet):
        """Wait until the device said this, and forget what came before."""
        deadline = time.monotonic() + PATIENCE_S
        while packet not in self._heard:
            assert select.select([self._ours], [], [], max(0, deadline - time.monotonic()))[0], self._heard
            self._heard += os.read(self._ours, 4096)
        self._heard = self._heard.partition(packet)[2]

    def close(self):
        os.close(self._ours)
        os.close(self.theirs)


@pytest.fixture
def line():
    line = Line()
    yield line
    line.close()


def test_set_up_by_its_cable(home, line):
    """Noise, half packets and wrong sums do nothing; the Wi-Fi comes by Improv and the rest by the page it names."""
    device = home.switch_on(line.theirs)
    name, _code = home.label()
    home.start_broker()
    line.say(b"\x00\x03\xffgarbage IMPRO" + _packet(3, b"\x02\x00", error=1) + _wifi("home", "x")[:20])
    line.say(_packet(3, b"\x02\x00"))
    line.hear(_packet(1, b"\x02"))
    texts = [b"Commonwatt", b"1", b"", b"Commonwatt-" + name[:4].upper().encode()]
    info = b"".join(bytes([len(text)]) + text for text in texts)
    line.say(_packet(3, b"\x03\x00"))
    line.hear(_packet(4, bytes([3, len(info)]) + info))
    line.say(_packet(3, b"\x01\x05\x04ab"))
    line.hear(_packet(2, b"\x01"))
    line.say(_wifi("home", "wrong wrong"))
    line.hear(_packet(1, b"\x03"))
    line.hear(_packet(2, b"\x03"))
    line.say(_wifi("home", WIFI_PASSWORD))
    url = f"http://127.0.0.1:{home.http_port}/".encode()
    line.hear(_packet(4, bytes([1, 1 + len(url), len(url)]) + url))
    home.page_says("Now tell it its gateway")
    assert home.told() is None
    home.page("/", home.form(password="", account=""))
    assert device.wait(PATIENCE_S) == 75
    assert home.told()["wifi"]["password"] == WIFI_PASSWORD
    assert "claim" not in home.told()


def test_relay_of_a_plug_in_its_set_up(tmp_path):
    """A new plug supplies its load before anybody has told it anything."""
    home = Home(tmp_path, control={})
    try:
        home.switch_on()
        assert (tmp_path / "state" / "relay").read_text() == "on\n"
    finally:
        home.end()


def test_set_up_by_its_cable_alone(tmp_path, line):
    """A device that was given its gateway needs a network and nothing else."""
    port = free_port()
    home = Home(tmp_path, device="cd" * 16, broker={"host": "127.0.0.1", "port": port, "password": "d"})
    home.mqtt_port = port
    try:
        device = home.switch_on(line.theirs)
        assert home.label()[0] == "cd" * 16
        home.start_broker()
        line.say(_wifi("home", WIFI_PASSWORD))
        line.hear(_packet(4, b"\x01\x00"))
        assert device.wait(PATIENCE_S) == 75
        assert home.told()["broker"] == {"host": "127.0.0.1", "port": port, "username": "cd" * 16, "password": "d"}
    finally:
        home.end()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl (apt: openssl)")
def test_set_up_with_a_certificate(tmp_path):
    """A device that was given an authority believes that one alone, and tells the person when it is another's."""
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
        make_certificates(tmp_path / name)
    files = f'cert_file: "{tmp_path}/mine/server.pem", key_file: "{tmp_path}/mine/server.key"'
    authority = tmp_path / "ca.pem"
    shutil.copy(tmp_path / "other" / "ca.pem", authority)
    home = Home(tmp_path, broker={"tls": {"ca": str(authority)}})
    try:
        device = home.switch_on()
        home.start_broker(f"\n  tls {{ {files} }}\n")
        gateway = f"localhost:{home.mqtt_port}"
        home.page("/", home.form(gateway=gateway))
        home.page_says("not the commune's")
        assert home.told() is None
        shutil.copy(tmp_path / "mine" / "ca.pem", authority)
        home.page("/", home.form(gateway=gateway))
        assert device.wait(PATIENCE_S) == 75
        assert home.told()["broker"]["tls"] == {"ca": str(authority)}
    finally:
        home.end()


def test_set_up_when_somebody_wants_the_prompt(home, line):
    """What mpremote sends first ends the set-up; within an Improv packet the same bytes are a network's name."""
    device = home.switch_on(line.theirs)
    line.say(_packet(3, b"\x01\x0d\x03abc\x08password"))  # 0d 03: the bytes of a carriage return and Ctrl-C
    line.hear(_packet(2, b"\x03"))
    assert device.poll() is None
    line.say(b"\r\x03")
    assert device.wait(PATIENCE_S) != 0
    assert len(home.label()[1]) == 10  # the label was made and stays
