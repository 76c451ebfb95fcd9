"""The bytes of MQTT 3.1.1 (OASIS standard) that a device speaks: no I/O here.

CONNECT 10 → CONNACK 20    SUBSCRIBE 82 → SUBACK 90    PUBLISH 30 ⇄ PUBACK 40    PINGREQ c0 → PINGRESP d0
"""

from node.port import const

CONNACK = const(0x20)
PUBLISH = const(0x30)
PUBACK = const(0x40)
SUBACK = const(0x90)
PINGRESP = const(0xD0)

PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"
LENGTH_BYTES_MAX = 4
REFUSED_SUBSCRIPTION = 0x80

_CLEAN_SESSION = const(0x02)
_WILL = const(0x2C)  # with QoS 1, retained
_PASSWORD = const(0x40)
_USERNAME = const(0x80)
_QOS = const(0x06)
_RETAIN = const(0x01)


def connect(client_id, username, password, keepalive_s, will=None):
    """CONNECT with a clean session: what a session could keep for us is resent by its sender anyway.

    `username` and `password` may be None; `will` is (topic, payload) or None.
    """
    flags = _CLEAN_SESSION
    body = _text(client_id)
    if will is not None:
        flags |= _WILL
        body += _text(will[0]) + _sized(will[1])
    if username is not None:
        flags |= _USERNAME
        body += _text(username)
        if password is not None:
            flags |= _PASSWORD
            body += _text(password)
    return _packet(0x10, b"\x00\x04MQTT\x04" + bytes([flags]) + keepalive_s.to_bytes(2, "big") + body)


def subscribe(packet_id, topics):
    """SUBSCRIBE to all `topics` with QoS 1."""
    return _packet(0x82, packet_id.to_bytes(2, "big") + b"".join([_text(topic) + b"\x01" for topic in topics]))


def publish(packet_id, topic, payload, retain=False):
    """PUBLISH with QoS 1, or with QoS 0 if `packet_id` is None; `retain`: for whoever subscribes later, too."""
    flags = PUBLISH | (_RETAIN if retain else 0)
    if packet_id is None:
        return _packet(flags, _text(topic) + payload)
    return _packet(flags | 0x02, _text(topic) + packet_id.to_bytes(2, "big") + payload)


def puback(packet_id):
    """PUBACK of a message we received."""
    return _packet(PUBACK, packet_id.to_bytes(2, "big"))


def parse_publish(flags, body):
    """(topic, payload, packet id or None at QoS 0) of a PUBLISH; ValueError if it is none."""
    end = 2 + int.from_bytes(body[:2], "big")
    if len(body) < end:
        raise ValueError("a topic longer than its packet")
    try:
        topic = str(bytes(body[2:end]), "utf-8")
    except UnicodeError:
        raise ValueError("a topic that is not UTF-8") from None
    if not flags & _QOS:
        return topic, body[end:], None
    if len(body) < end + 2:
        raise ValueError("no packet identifier")
    return topic, body[end + 2 :], int.from_bytes(body[end : end + 2], "big")


def _packet(first, body):
    length = len(body)
    head = bytearray([first])
    while True:
        digit, length = length & 0x7F, length >> 7
        head.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(head) + body


def _sized(data):
    return len(data).to_bytes(2, "big") + data


def _text(text):
    return _sized(text.encode())
