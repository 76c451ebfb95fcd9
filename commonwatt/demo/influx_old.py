"""Stands between the demo's aggregator and an InfluxDB before 1.8, which knows `/write` and not `/api/v2/write`.

Debian's influxdb is 1.6. `python -m commonwatt.demo.influx_old --port N --server URL` passes every write on, the same
bytes, and answers what the server answers. For a demo on one machine: a lasting installation uses a newer InfluxDB.
"""

import argparse
import http.client
import http.server
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

TIMEOUT_S = 20.0
PRECISIONS = {"ns": "ns", "us": "u", "ms": "ms", "s": "s"}
"""1.6 takes a precision that it does not know, such as "us", for nanoseconds without a word."""


def path_of_old(path: str) -> str | None:
    """The old path of a new one; None for what is not passed on.

    "/api/v2/write?bucket=demo&org=x&precision=s" → "/write?db=demo&precision=s"
    """
    url = urlsplit(path)
    asked: Mapping[str, list[str]] = parse_qs(url.query)
    precision = PRECISIONS.get(asked.get("precision", ["ns"])[0])
    if url.path != "/api/v2/write" or "bucket" not in asked or precision is None:
        return None
    return "/write?" + urlencode({"db": asked["bucket"][0], "precision": precision})


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = path_of_old(self.path)
        if path is None:
            self._answer(404, {}, b"only /api/v2/write is passed on\n")
            return
        headers = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding") if name in self.headers}
        connection = http.client.HTTPConnection(*self.server.upstream, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
        except (OSError, http.client.HTTPException) as error:
            self._answer(502, {}, f"{error}\n".encode())
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name in ("Content-Type", "X-Influxdb-Error", "Retry-After"):
            if name in headers:
                self.send_header(name, headers[name])
        if status != http.HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """One line a write would fill the demo's logs."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        super().__init__(("127.0.0.1", port), _Handler)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server", required=True)
    options = parser.parse_args()
    server = urlsplit(options.server)
    with _Server(options.port, (server.hostname or "", server.port or 8086)) as running:
        running.serve_forever()


if __name__ == "__main__":
    main()
