"""The captive page: whatever a phone asks for, it gets the one form. Why not a web framework: docs/decisions/0007.

A request is read up to a kilobyte of head and a kilobyte of body, and hung up on when it is more or slower.
A DNS answer names us for every question, which makes phones open the page by themselves.
"""

import asyncio

from node.port import const, wait_for_ms

_HEAD_MAX = const(1024)
_BODY_MAX = const(1024)
_REQUEST_MS = const(5000)
_DNS_MAX = const(512)

_PAGE = """<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>Commonwatt</title><h1>Commonwatt %s</h1><p>%s</p><form method=post>
<p><label>Wi-Fi <input name=ssid required maxlength=32></label>
<p><label>Password <input name=password type=password maxlength=63></label>
<p><label>Code on the label <input name=code required></label>
<p><label>Your account <input name=account maxlength=32></label>
<p><button>Save</button></form>"""


class Portal:
    """`save(fields)` takes the form, ValueError says what is wrong with it. `name` stands in the heading."""

    def __init__(self, name, save):
        self._name = name
        self._save = save
        self.saved = 0
        self.refused = 0
        self.broken = 0

    async def serve(self, reader, writer):
        """One connection, as asyncio.start_server hands it over."""
        try:
            writer.write(await wait_for_ms(self._answer(reader), _REQUEST_MS))
            await wait_for_ms(writer.drain(), _REQUEST_MS)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            self.broken += 1
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass

    async def _answer(self, reader):
        line = await _line(reader, _HEAD_MAX)
        left, length = _HEAD_MAX - len(line), 0
        while True:
            header = await _line(reader, left)
            left -= len(header)
            if header in (b"\r\n", b"\n"):
                break
            name, _colon, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not line.startswith(b"POST "):
            return self._page(200, "Tell this meter its network.")
        if not 0 <= length <= _BODY_MAX:
            raise ValueError("too large")
        try:
            self._save(form(await reader.readexactly(length)))
        except ValueError as error:
            self.refused += 1
            return self._page(400, str(error))
        self.saved += 1
        return self._page(200, "Saved. The meter joins your network now.")

    def _page(self, status, words):
        body = (_PAGE % (self._name, words)).encode()
        head = "HTTP/1.0 %d OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        return head.encode() + body


def form(body):
    """The fields of an urlencoded form; ValueError if it is none."""
    fields = {}
    for pair in body.split(b"&"):
        name, _equals, value = pair.partition(b"=")
        try:
            fields[str(_unquote(name), "utf-8")] = str(_unquote(value), "utf-8")
        except UnicodeError:
            raise ValueError("This is not text.") from None
    return fields


def dns_answer(query, address):
    """The answer that names `address` (4 bytes) for whatever was asked; None for what is no question."""
    if not 17 <= len(query) <= _DNS_MAX or query[2] & 0x80 or query[4:6] != b"\x00\x01":
        return None
    end = 12
    while end < len(query) and query[end]:
        end += 1 + query[end]
    end += 5
    if end > len(query):
        return None
    head = query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
    return head + query[12:end] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + address


async def _line(reader, size_max):
    line = await reader.readline()
    if not line.endswith(b"\n") or len(line) > size_max:
        raise ValueError("not a line of a request")
    return line


def _unquote(data):
    parts = data.replace(b"+", b" ").split(b"%")
    out = parts[0]
    for part in parts[1:]:
        out += bytes([int(part[:2], 16)]) + part[2:]
    return out
