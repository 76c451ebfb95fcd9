"""Setting a device up: label, claim, Improv over a noisy line, the captive page, the button, the Wi-Fi."""

import asyncio
import json
from hashlib import sha256

from node import button, cbor, cose, dns, improv, provision, settings, setup
from node.button import Button
from node.cell import Cell
from node.ed25519 import SigningKey, verify
from node.improv import Improv, packet
from node.portal import Portal, form
from node.wifi import Wifi

from blocks import Blocks
from neutral import folder, raises, run, seeded

CODE = "4RT69KQ2XM"


def test_label_when_made_once():
    """The first boot makes it, later ones read the same; another file is left alone."""
    path = folder() + "/label"
    random = seeded(3)

    def urandom(size):
        return bytes([random.getrandbits(8) for _ in range(size)])

    device, code = provision.label(path, urandom)
    assert (len(bytes.fromhex(device)), len(code)) == (16, 10)
    assert provision.label(path, urandom) == (device, code)
    for wrong in ("", "[]", '{"device": "00", "code": "x"}', '{"device": 7, "code": 7}'):
        with open(path, "w") as file:
            file.write(wrong)
        assert raises(ValueError, provision.label, path, urandom), wrong


def test_claim_when_checked():
    """It is signed by the device for this one purpose and holds a hash of the code, never the code."""
    key, device, account = SigningKey(bytes(32)), "ab" * 16, "cd" * 16
    signed = provision.claim(key, device, CODE, account)
    _kid, payload, signature = cose.parse1(signed)
    assert verify(key.public_key, cose.to_be_signed(payload, cose.external_aad("claim")), signature)
    digest = sha256(b"CW1:" + b"AB" * 16 + b":4RT6-9KQ2-XM").digest()
    assert cbor.decode(payload) == [1, bytes.fromhex(device), key.public_key, bytes.fromhex(account), digest]


NOTHING = {"wifi": {}, "broker": {}}
GOOD = {
    "ssid": "home",
    "password": "long enough",
    "gateway": "gate-1.example:8883",
    "gateway_password": "g",
    "code": "4rt6-9kq2 xm",
    "account": "AB" * 16,
}


def test_owner_when_the_form_is_filled_in():
    """Right ones are kept, each wrong one is told in words; the code may be typed as people type."""
    owner = provision.owner_of(GOOD, CODE, NOTHING)
    assert owner["account"] == "ab" * 16
    assert owner["wifi"] == {"ssid": "home", "password": "long enough"}
    assert owner["broker"] == {"host": "gate-1.example", "port": 8883, "password": "g"}
    for name, value in [
        ("code", ""),
        ("code", "1" * 10),
        ("ssid", ""),
        ("ssid", "x" * 33),
        ("password", "short"),
        ("gateway", ""),
        ("gateway", "a b"),
        ("gateway", "x" * 254),
        ("gateway", "a:" + "9" * 5),
        ("gateway", "a:0"),
        ("gateway", "a:b"),
        ("gateway_password", "x" * 129),
        ("account", "12"),
    ]:
        assert raises(ValueError, provision.owner_of, dict(GOOD, **{name: value}), CODE, NOTHING), name


def test_owner_when_the_form_is_silent():
    """What is known stays known: a password that was not typed again, the certificate that came with the device."""
    known = {
        "wifi": {"ssid": "home", "password": "long enough"},
        "broker": {"host": "old", "password": "kept", "tls": {"ca": "ca.pem"}},
    }
    owner = provision.owner_of({"code": CODE, "ssid": "home", "gateway": "new"}, CODE, known)
    assert owner["wifi"] == known["wifi"]
    assert owner["broker"] == {"host": "new", "port": 8883, "password": "kept", "tls": {"ca": "ca.pem"}}
    assert known["broker"]["host"] == "old"
    other = provision.owner_of({"code": CODE, "ssid": "cafe", "gateway": "new"}, CODE, known)
    assert other["wifi"] == {"ssid": "cafe", "password": ""}


def test_settings_when_told_forgotten_or_damaged():
    """What was told lies over device.json; a factory reset forgets it; a damaged file is as good as none."""
    place = folder()
    path = place + "/device.json"
    with open(path, "w") as file:
        json.dump({"state_dir": place, "broker": {"tls": 1}}, file)
    config = settings.read(path)
    told = settings.told_path(config)
    provision.forget_owner(told)
    provision.save_owner(told, {"device": "d", "broker": {"host": "h"}})
    assert settings.read(path)["broker"] == {"host": "h"}
    provision.forget_owner(told)
    assert settings.read(path) == config
    for wrong in ("", "{", "[]", "7"):
        with open(told, "w") as file:
            file.write(wrong)
        assert settings.read(path) == config


class Line:
    """Improv on a line; what it was asked to join and what it said."""

    def __init__(self):
        self.joins = []
        self.said = b""
        self.improv = Improv(self.join, self.write, ["commonwatt", "1", "ESP32", "plug"])

    def join(self, ssid, password):
        self.joins.append((ssid, password))

    def write(self, data):
        self.said += data


# The standard's own example: SSID "MyWirelessAP", password "mysecurepassword".
WIFI = b"IMPROV\x01\x03\x20\x01\x1e\x0cMyWirelessAP\x10mysecurepassword"
WIFI += bytes([sum(WIFI) & 0xFF]) + b"\n"


def test_improv_when_cut_anywhere_and_noisy():
    """The packet is heard whole whatever stands around it and however it arrives."""
    stream = b"boot: IMPR\xff" + WIFI[:9] + WIFI + b"log line\n" + WIFI
    for size in (1, 2, 7, 40, 200):
        line = Line()
        for at in range(0, len(stream), size):
            line.improv.feed(stream[at : at + size])
        assert line.joins[-1] == ("MyWirelessAP", "mysecurepassword")
        assert line.improv.garbage > 0
        assert line.improv.state == improv.PROVISIONING


def test_improv_when_the_network_takes_us_or_not():
    """Provisioned with the address to open; or an error, and ready again."""
    for url, state, answer in [
        ("http://a", 4, packet(improv.RESULT, b"\x01\x09\x08http://a")),
        (None, 2, packet(improv.ERROR, b"\x03")),
    ]:
        line = Line()
        line.improv.feed(WIFI)
        line.improv.joined(url)
        assert line.improv.state == state
        assert line.said.endswith(answer)
        line.improv.joined(url)
        assert line.said.count(answer) == 1


def test_improv_when_asked_something():
    """State and information are told; what is unknown or broken is an error."""
    for command, answer in [
        (b"\x02\x00", packet(improv.STATE, b"\x02")),
        (b"\x03\x00", packet(improv.RESULT, b"\x03\x18\x0acommonwatt\x011\x05ESP32\x04plug")),
        (b"\x09\x00", packet(improv.ERROR, b"\x02")),
        (b"", packet(improv.ERROR, b"\x01")),
        (b"\x01\x05\x04ab", packet(improv.ERROR, b"\x01")),
        (b"\x01\x03\x09ab", packet(improv.ERROR, b"\x01")),
        (b"\x01\x02\x00\x00", packet(improv.ERROR, b"\x01")),
    ]:
        line = Line()
        line.improv.feed(packet(improv.RPC, command))
        assert line.said == packet(improv.ERROR, b"\x00") + answer, command
        assert line.joins == []


def test_improv_when_the_sum_is_wrong():
    """A damaged packet is counted and does nothing."""
    line = Line()
    line.improv.feed(WIFI[:20] + b"?" + WIFI[21:])
    assert (line.joins, line.said, line.improv.bad_sums) == ([], b"", 1)


async def _ask(portal, *requests):
    """Answers of the page to raw requests."""
    answers = []
    for port in range(21000 + id(portal) % 20000, 65000):
        try:
            server = await asyncio.start_server(portal.serve, "127.0.0.1", port)
            break
        except OSError:
            continue
    for request in requests:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        await writer.drain()
        try:
            answers.append(await reader.read(-1))
        except OSError:
            answers.append(b"")  # hung up on with a request half read
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return answers


def test_portal_when_a_phone_asks():
    """Any address gives the form; a good form is taken; a bad one, garbage and too much are counted."""
    taken = []

    def save(fields):
        taken.append(provision.owner_of(fields, CODE, NOTHING))

    known = {"wifi": {"ssid": '<"&'}, "broker": {"host": "h", "port": 1}}
    portal = Portal("abcd", save, known)
    good = b"ssid=my+net%C3%A9&password=&gateway=h&code=" + CODE.encode()
    answers = run(
        _ask(
            portal,
            b"GET /generate_204 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(good) + good,
            b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nssid=x",
            b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nssid=%ff%",
            b"POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nssid=x",
            b"GET / HTTP/1.1\r\nX: " + b"x" * 1100,
            b"\xff\xfe\n\n\n",
        )
    )
    assert b"<form" in answers[0]
    assert b'value="&lt;&quot;&amp;"' in answers[0]
    assert b'value="h:1"' in answers[0]
    assert answers[1].startswith(b"HTTP/1.0 200")
    assert answers[2].startswith(b"HTTP/1.0 400")
    assert b"not the code" in answers[2]
    assert b"not text" in answers[3]
    assert [owner["wifi"] for owner in taken] == [{"ssid": "my net\u00e9", "password": ""}]
    assert (portal.saved, portal.refused, portal.broken, portal.open) == (1, 2, 4, 0)


def test_form_when_it_is_not_one():
    """Broken escapes and what is no text are refused."""
    for body in (b"a=%zz", b"a=%ff", b"a=%"):
        assert raises(ValueError, form, body), body


def test_dns_when_a_phone_asks_for_any_name():
    """Every question is answered with our address; what is no question is not."""
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02fr\x00\x00\x01\x00\x01"
    answer = dns.answer(query, b"\xc0\xa8\x04\x01")
    assert answer[:2] == b"\x12\x34"
    assert answer.endswith(b"\x00\x04\xc0\xa8\x04\x01")
    assert dns.answer(query[:-3] + b"\x1c\x00\x01", bytes(4))[6:8] == bytes(2)  # AAAA: the name has none
    for size in range(len(query)):
        assert dns.answer(query[:size], bytes(4)) is None
    assert dns.answer(b"\x12\x34\x81" + query[3:], bytes(4)) is None


def test_button_over_time():
    """Short toggles, five seconds set up, ten reset; bounces and leaning on it do nothing."""
    for held_ms, wanted in [
        (10, button.NOTHING),
        (200, button.TOGGLE),
        (4999, button.TOGGLE),
        (5000, button.SET_UP),
        (9999, button.SET_UP),
        (10000, button.RESET),
        (59999, button.RESET),
        (60000, button.NOTHING),
    ]:
        pressed = Button(False, 0)
        assert pressed.step(True, 1000) == button.NOTHING
        assert pressed.step(True, 1000 + held_ms // 2) == button.NOTHING
        assert pressed.step(False, 1000 + held_ms) == wanted, held_ms


def test_button_when_it_is_stuck_at_start():
    """It resets nothing when it comes loose; the next press counts."""
    pressed = Button(True, 0)
    assert pressed.step(False, 20000) == button.NOTHING
    assert pressed.step(True, 21000) == button.NOTHING
    assert pressed.step(False, 21100) == button.TOGGLE


class Station:
    """A radio: joins as often as `outcomes` say (None: the radio fails), and loses the network after two looks."""

    def __init__(self, outcomes):
        self.outcomes = outcomes
        self.left = 0
        self._looks = 0

    def join(self, _ssid, _password):
        outcome = self.outcomes.pop(0)
        if outcome is None:
            raise OSError("radio")
        self._looks = 2 if outcome else 0

    def is_up(self):
        self._looks -= 1
        return self._looks >= 0

    def leave(self):
        self.left += 1

    def level_dbm(self):
        return -61


def test_wifi_when_it_comes_and_goes():
    """A failing radio, a network that is not there and one that goes are states; each coming nudges the link."""
    ups = []

    async def tell():
        station = Station([None, False, True, True])
        wifi = Wifi(station, {"ssid": "s", "password": "p"}, lambda: ups.append(1), lambda: 0.0, 1, 1)
        try:
            await wifi.run()
        except IndexError:
            pass  # the story is told to its end
        assert (wifi.joins, wifi.losses, wifi.failures, station.left) == (2, 2, 2, 4)
        assert not wifi.is_up
        assert wifi.state()["wifi_rssi_dbm"] == 0
        wifi.is_up = True
        assert wifi.state()["wifi_rssi_dbm"] == -61

    run(tell())
    assert len(ups) == 2


class Plug:
    """A board with a relay, and flash that may be damaged."""

    def __init__(self, value=None, has_relay=True):
        self.flash = Blocks(2, 64)
        self.moved = []
        self._has_relay = has_relay
        if value is not None:
            Cell(self.flash).write(value)

    def has_relay(self, _config):
        return self._has_relay

    def make_folder(self, _path):
        pass

    def blocks(self, _config, name):
        assert name == "control"
        return self.flash

    def switch(self, _config):
        return self.moved.append


def test_relay_while_nobody_has_set_the_device_up():
    """It supplies its load, or stands where the last command left it; damaged flash switches nothing off."""
    for plug, moved in [
        (Plug(), [True]),
        (Plug(cbor.encode([7, False, []])), [False]),
        (Plug(cbor.encode([7, True, []])), [True]),
        (Plug(b"\xff"), [True]),
        (Plug(cbor.encode([7])), [True]),
        (Plug(has_relay=False), []),
    ]:
        setup.supply(plug, {"state_dir": "state"})
        assert plug.moved == moved
