"""A small real HTTP server that takes lines as a database does, and answers whatever a test tells it to."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """What is answered. `cut`: the connection ends in the middle of it."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


TAKEN = Reply(204)


@dataclass
class Request:
    """What came: the path with its query, headers, and the lines."""

    path: str
    headers: dict[str, str]
    lines: list[str]


class Database(ThreadingHTTPServer):
    """`decide`: from the lines of a request to the answer. `kept`: lines of the requests that were answered 204."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.decide: Callable[[Request], Reply] = lambda _request: TAKEN
        self.requests: list[Request] = []
        self.kept: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Database
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = Request(self.path, dict(self.headers), body.decode().split("\n"))
        self.server.requests.append(request)
        reply = self.server.decide(request)
        if reply.status == 204:
            self.server.kept += request.lines
        self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        data = reply.body.encode()
        if reply.cut:
            self.wfile.write(b"HTTP/1.1 2")
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def running(port: int = 0) -> Iterator[Database]:
    """A server that takes everything until it is told otherwise."""
    with Database(port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
