"""First boot: who the device is, what its label says, and what a person tells it. docs/spec/command.cddl has `claim`.

    label    {"device": 32 hex digits, "code": 10 letters}      made once, never changed, survives a factory reset
    owner    {"ssid", "password", "account", "host", "port"}    told by a person, forgotten by a factory reset

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
_SSID_MAX = const(32)
_PASSWORD_MIN = const(8)  # WPA2
_PASSWORD_MAX = const(63)


def label(path, urandom):
    """(device, code) of the label at `path`, made there on first boot; ValueError if the file is something else."""
    try:
        with open(path) as file:
            text = file.read()
    except OSError:
        made = {"device": urandom(16).hex(), "code": "".join([LETTERS[byte & 31] for byte in urandom(CODE_SIZE)])}
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


def parse_code(text):
    """A code as a person types it: lower case, hyphens, spaces, O for 0, I and L for 1."""
    text = text.upper().replace("-", "").replace(" ", "")
    return text.replace("O", "0").replace("I", "1").replace("L", "1")


def claim(key, device, code, account):
    """The signed claim that binds the device (hex) to a member's account (hex)."""
    digest = sha256(label_text(device, code).encode()).digest()
    payload = [_VERSION, bytes.fromhex(device), key.public_key, bytes.fromhex(account), digest]
    return cose.sign1(cbor.encode(payload), key, AAD)


def owner_of(fields, code):
    """The owner that a filled-in form tells; ValueError says in a person's words what is wrong."""
    if parse_code(fields.get("code", "")) != code:
        raise ValueError("This is not the code on the label.")
    ssid, password = fields.get("ssid", ""), fields.get("password", "")
    if not 0 < len(ssid.encode()) <= _SSID_MAX:
        raise ValueError("A network's name has 1 to 32 bytes.")
    if password and not _PASSWORD_MIN <= len(password.encode()) <= _PASSWORD_MAX:
        raise ValueError("A network's password has 8 to 63 characters.")
    owner = {"ssid": ssid, "password": password}
    account = fields.get("account", "").strip().lower()
    if account:
        if len(account) != 32 or not all(c in "0123456789abcdef" for c in account):
            raise ValueError("An account has 32 digits, 0 to 9 and a to f.")
        owner["account"] = account
    return owner


def load_owner(path):
    """What a person told, or None: nobody yet, or a file that is damaged and as good as none."""
    try:
        with open(path) as file:
            owner = json.loads(file.read())
        return owner if isinstance(owner, dict) and isinstance(owner.get("ssid"), str) else None
    except (OSError, ValueError):
        return None


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
