"""Improv over serial (improv-wifi.com/serial): a browser or a phone on the USB cable gives the device its Wi-Fi.

    packet = "IMPROV" 01 <type> <length> <data> <sum of all before it & ff> \\n

    1 state  → 02 ready, 03 provisioning, 04 provisioned     2 error → 00 none, 01, 02, 03
    3 RPC    ← command, length, data                         4 result → command, length, texts

Who holds the cable holds the device: no code is asked for here. What is no packet is passed over and counted.
"""

from node.port import const

STATE = const(1)
ERROR = const(2)
RPC = const(3)
RESULT = const(4)

READY = const(2)
PROVISIONING = const(3)
PROVISIONED = const(4)

NO_ERROR = const(0)
INVALID_RPC = const(1)
UNKNOWN_RPC = const(2)
UNABLE_TO_CONNECT = const(3)

_WIFI = const(1)
_GET_STATE = const(2)
_GET_INFO = const(3)

_HEADER = b"IMPROV\x01"
_HEAD_SIZE = const(9)
_SSID_MAX = const(32)
_PASSWORD_MAX = const(63)


class Improv:
    """`connect(ssid, password)` begins to join; `joined` tells the outcome. `info` are four texts, `write(bytes)`."""

    def __init__(self, connect, write, info, is_provisioned=False):
        self._connect = connect
        self._write = write
        self._info = info
        self._data = b""
        self.state = PROVISIONED if is_provisioned else READY
        self.garbage = 0
        self.bad_sums = 0

    @property
    def is_hearing(self):
        """Whether a packet has begun and is not complete."""
        return bool(self._data)

    def feed(self, data):
        """Take bytes from the line, cut anywhere; answers go out by `write`."""
        self._data += data
        while True:
            at = self._data.find(_HEADER)
            if at < 0:
                keep = _partial_header(self._data)
                self.garbage += len(self._data) - keep
                self._data = self._data[len(self._data) - keep :]
                return
            self.garbage += at
            self._data = self._data[at:]
            if len(self._data) < _HEAD_SIZE:
                return
            end = _HEAD_SIZE + self._data[8]
            if len(self._data) <= end:
                return
            if self._data[end] != _sum(self._data[:end]):
                self.bad_sums += 1
                self._data = self._data[1:]  # perhaps a packet begins within what was damaged
                continue
            kind, body = self._data[7], self._data[_HEAD_SIZE:end]
            self._data = self._data[end + 1 :].lstrip(b"\n")
            if kind == RPC:
                self._obey(body)

    def joined(self, url):
        """The Wi-Fi took us (`url` is what to open next, or empty), or did not (None)."""
        if self.state != PROVISIONING:
            return
        if url is None:
            self._set(READY)
            self._error(UNABLE_TO_CONNECT)
        else:
            self._set(PROVISIONED)
            self._result(_WIFI, [url] if url else [])

    def _obey(self, body):
        self._error(NO_ERROR)
        if len(body) < 2 or len(body) != 2 + body[1]:
            self._error(INVALID_RPC)
        elif body[0] == _WIFI:
            self._wifi(body[2:])
        elif body[0] == _GET_STATE:
            self._set(self.state)
        elif body[0] == _GET_INFO:
            self._result(_GET_INFO, self._info)
        else:
            self._error(UNKNOWN_RPC)

    def _wifi(self, data):
        try:
            ssid, rest = _text(data)
            password, rest = _text(rest)
            if rest or not 0 < len(ssid.encode()) <= _SSID_MAX or len(password.encode()) > _PASSWORD_MAX:
                raise ValueError("not a network")
        except (ValueError, IndexError):
            self._error(INVALID_RPC)
            return
        self._set(PROVISIONING)
        self._connect(ssid, password)

    def _set(self, state):
        self.state = state
        self._write(packet(STATE, bytes([state])))

    def _error(self, error):
        self._write(packet(ERROR, bytes([error])))

    def _result(self, command, texts):
        body = b"".join([bytes([len(text.encode())]) + text.encode() for text in texts])
        self._write(packet(RESULT, bytes([command, len(body)]) + body))


def packet(kind, data):
    """The bytes of one packet."""
    head = _HEADER + bytes([kind, len(data)]) + data
    return head + bytes([_sum(head)]) + b"\n"


def _sum(data):
    return sum(data) & 0xFF


def _text(data):
    size = data[0]
    if len(data) < 1 + size:
        raise ValueError("a text that ends early")
    try:
        return str(bytes(data[1 : 1 + size]), "utf-8"), data[1 + size :]
    except UnicodeError:
        raise ValueError("not UTF-8") from None


def _partial_header(data):
    """How many bytes at the end may be the beginning of a packet."""
    for size in range(min(len(_HEADER) - 1, len(data)), 0, -1):
        if data[-size:] == _HEADER[:size]:
            return size
    return 0
