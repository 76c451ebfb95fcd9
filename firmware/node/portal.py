"""The captive page: whatever a phone asks for, it gets the one form. Why not a web framework: docs/decisions/0007.

A request is read up to a kilobyte of head and a kilobyte of body, from four at once; it is hung up on when it is
more, or takes longer than five seconds.
"""

import asyncio

from node import http
from node.port import const, wait_for_ms

_HEAD_MAX = const(1024)
_BODY_MAX = const(1024)
_REQUEST_MS = const(5000)
_OPEN_MAX = const(4)

_PAGE = """<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>%s</title><h1>%s</h1><p>%s</p><form method=post action=/>%s
<p><label>Gateway <input name=gateway value="%s" required maxlength=260></label>
<p><label>Gateway's password <input name=gateway_password type=password maxlength=128></label>
<p><label>Code on the label <input name=code required></label>
<p><label>Your account <input name=account maxlength=40></label>
<p><button>Save</button></form>"""
_WIFI = """
<p><label>Wi-Fi <input name=ssid value="%s" required maxlength=32></label>
<p><label>Wi-Fi password <input name=password type=password maxlength=63></label>"""


class Portal:
    """`save(fields)` takes the form, ValueError says what is wrong with it. `name` stands in the heading.

    `known` is the {"wifi", "broker"} that the form begins with; a password is never shown. `words` is what a person
    is told, `open` counts connections.
    """

    def __init__(self, name, save, known, asks_wifi=True):
        self._name = name
        self._save = save
        self._known = known
        self._asks_wifi = asks_wifi
        self.words = "Tell this meter its network."
        self.open = 0
        self.saved = 0
        self.refused = 0
        self.broken = 0
        self.turned_away = 0

    async def serve(self, reader, writer):
        """One connection, as asyncio.start_server hands it over."""
        if self.open >= _OPEN_MAX:
            self.turned_away += 1
        else:
            self.open += 1
            try:
                writer.write(await wait_for_ms(self._answer(reader), _REQUEST_MS))
                await wait_for_ms(writer.drain(), _REQUEST_MS)
            except (OSError, EOFError, ValueError, asyncio.TimeoutError):
                self.broken += 1
            finally:
                self.open -= 1
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass

    async def _answer(self, reader):
        head, body = await http.head(reader, _HEAD_MAX)
        length = 0
        lines = head.split(b"\n")
        for header in lines[1:]:
            name, _colon, value = header.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        if not head.startswith(b"POST "):
            return self._page(b"200 OK", self.words)
        if not len(body) <= length <= _BODY_MAX:
            raise ValueError("too large")
        try:
            self._save(form(body + await reader.readexactly(length - len(body))))
        except ValueError as error:
            self.refused += 1
            return self._page(b"400 Bad Request", str(error))
        self.saved += 1
        return self._page(
            b"200 OK",
            "The meter joins your network now. If you still find this page in a minute, read here why it could not.",
        )

    def _page(self, status, words):
        broker = self._known["broker"]
        gateway = broker.get("host", "") + (":%d" % broker["port"] if "port" in broker else "")
        wifi = _WIFI % _shown(self._known["wifi"].get("ssid", "")) if self._asks_wifi else ""
        body = (_PAGE % (self._name, self._name, _shown(words), wifi, _shown(gateway))).encode()
        head = b"HTTP/1.0 " + status + b"\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def form(body):
    """The fields of an urlencoded form; ValueError if it is none."""
    fields = {}
    for pair in body.split(b"&"):
        name, _equals, value = pair.partition(b"=")
        try:
            fields[str(_unquote(name), "utf-8")] = str(_unquote(value), "utf-8")
        except ValueError:  # a broken escape, or not UTF-8
            raise ValueError("This is not text.") from None
    return fields


def _shown(text):
    """As text between tags, or between quotes of an attribute."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _unquote(data):
    parts = data.replace(b"+", b" ").split(b"%")
    out = parts[0]
    for part in parts[1:]:
        out += bytes([int(part[:2], 16)]) + part[2:]
    return out
