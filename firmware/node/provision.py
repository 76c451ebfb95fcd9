"""First boot: who the device is, what its label says, and what a person tells it. docs/spec/command.cddl has `claim`.

    label    {"device": 32 hex digits, "code": 10 letters}      made once, never changed, survives a factory reset
    owner    {"wifi", "broker", "account"}                      told by a person, forgotten by a factory reset

The code is 50 random bits in Crockford's letters. It is the password of the set-up network, so there is no default
one, and it proves to the commune that whoever claims the device has held its label. A factory reset keeps key,
journal, registers and command counter: the energy belongs to the meter, and an old command must stay old.
"""

import json
import os
from hashlib import sha256

from node import cbor, cose, port
from node.port import const

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_SIZE = const(10)
AAD = cose.external_aad("claim")

_VERSION = const(1)
_ENOENT = const(2)
_SSID_MAX = const(32)
_PASSWORD_MIN = const(8)  # WPA2
_PASSWORD_MAX = const(63)
MQTT_PORT = const(1883)
MQTTS_PORT = const(8883)
_HOST_MAX = const(253)
_HOST_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-."
_SECRET_MAX = const(128)


def label_path(config):
    """Where the label lies."""
    return config["state_dir"] + "/label"


def label(path, urandom, device=None):
    """(device, code) of the label at `path`, made there on first boot.

    ValueError: the file is something else; OSError: it cannot be read or made. Another label is made for neither.
    `device` (hex) where the id was given before the first boot; otherwise it is random.
    """
    try:
        with open(path) as file:
            text = file.read()
    except OSError as error:
        if error.args[0] != _ENOENT:
            raise
        made = {
            "device": device or urandom(16).hex(),
            "code": "".join([LETTERS[byte & 31] for byte in urandom(CODE_SIZE)]),
        }
        _write(path, made)
        return made["device"], made["code"]
    try:
        value = json.loads(text)
        device, code = value["device"], value["code"]
        is_good = len(bytes.fromhex(device)) == 16 and len(code) == CODE_SIZE and all(c in LETTERS for c in code)
    except (KeyError, TypeError, ValueError):
        is_good = False
    if not is_good:
        raise ValueError("not a label: " + path)
    return device, code


def label_text(device, code):
    """What the label's QR code says, byte for byte as commonwatt/device_label.py draws it."""
    return "CW1:" + device.upper() + ":" + code[:4] + "-" + code[4:8] + "-" + code[8:]


def identity(config, key, urandom):
    """What a commune is told to admit this device: its id, its public key, and what its label says."""
    device, code = label(label_path(config), urandom, config.get("device"))
    return {"device": device, "public_key": key.public_key.hex(), "label": label_text(device, code)}


def parse_code(text):
    """A code as a person types it: lower case, hyphens, spaces, O for 0, I and L for 1."""
    text = text.upper().replace("-", "").replace(" ", "")
    return text.replace("O", "0").replace("I", "1").replace("L", "1")


def claim(key, device, code, account):
    """The signed claim that binds the device (hex) to a member's account (hex)."""
    digest = sha256(label_text(device, code).encode()).digest()
    payload = [_VERSION, bytes.fromhex(device), key.public_key, bytes.fromhex(account), digest]
    return cose.sign1(cbor.encode(payload), key, AAD)


def owner_of(fields, code, known, asks_wifi=True):
    """The owner that a filled-in form tells, where it is silent what is `known`; ValueError: what is wrong, in words.

    {"wifi": {"ssid", "password"}, "broker": known's with what was told of it, "account" if one was told}
    """
    if parse_code(fields.get("code", "")) != code:
        raise ValueError("This is not the code on the label.")
    owner = {"wifi": _wifi_of(fields, known["wifi"]) if asks_wifi else {}}
    owner["broker"] = _broker_of(fields, known["broker"])
    account = fields.get("account", "").strip().lower().replace(" ", "")
    if account:
        if len(account) != 32 or not all(c in "0123456789abcdef" for c in account):
            raise ValueError("An account has 32 digits, 0 to 9 and a to f.")
        owner["account"] = account
    return owner


def _wifi_of(fields, known):
    ssid, password = fields.get("ssid", ""), fields.get("password", "")
    if ssid == known.get("ssid") and not password:
        return known
    if not 0 < len(ssid.encode()) <= _SSID_MAX:
        raise ValueError("A network's name has 1 to 32 bytes.")
    if password and not _PASSWORD_MIN <= len(password.encode()) <= _PASSWORD_MAX:
        raise ValueError("A network's password has 8 to 63 characters.")
    return {"ssid": ssid, "password": password}


def _broker_of(fields, known):
    """The gateway as HOST or HOST:PORT, and the password of the meter's account there."""
    host, _colon, number = fields.get("gateway", "").strip().partition(":")
    if not 0 < len(host) <= _HOST_MAX or not all(c in _HOST_LETTERS for c in host.lower()):
        raise ValueError("A gateway has a name or an address, as 192.168.1.10.")
    try:
        number = int(number or (MQTTS_PORT if "tls" in known else MQTT_PORT))
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise ValueError("A gateway's port is a number from 1 to 65535.")
    broker = dict(known)
    broker["host"], broker["port"] = host, number
    password = fields.get("gateway_password", "")
    if len(password.encode()) > _SECRET_MAX:
        raise ValueError("A gateway's password has at most 128 bytes.")
    if password:
        broker["password"] = password
    return broker


def save_owner(path, owner):
    """Keep it; durable on return."""
    _write(path, owner)


def forget_owner(path):
    """The factory reset."""
    try:
        os.remove(path)
    except OSError:
        pass  # nobody was known


def _write(path, value):
    beside = path + ".new"
    with open(beside, "w") as file:
        file.write(json.dumps(value))
        port.sync(file)
    os.rename(beside, path)
