"""The shelf's two sides on HTTP: a thread that looks for newer updates, and a server from which devices fetch them.

Devices speak plain HTTP/1.0 here (firmware/node/fetch.py) on purpose: the signed manifest names the image's hash.
"""

import io
import logging
import shutil
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from commonwatt.bounded_http import POLL_S, TIMEOUT_S, BoundedServer
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from gateway.devices.shelf import CHUNK, MANIFEST_SIZE_MAX, Shelf

log = logging.getLogger(__name__)


class Depot:
    """Fetches and serves while its `with` lasts. `url`: where the commune publishes; `port` 0 takes a free one."""

    def __init__(self, shelf: Shelf, *, url: str, host: str, port: int, every_s: float) -> None:
        self.fetched = self.served = self.not_there = 0
        self.failures: Counter[str] = Counter()
        self._shelf, self._url, self._every_s = shelf, url.rstrip("/"), every_s
        self._ended = threading.Event()
        self._address = host, port
        self._server: BoundedServer | None = None
        self._looking = threading.Thread(target=self._look_for_ever, name="updates-fetch", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        assert self._server is not None, "serves while its `with` lasts"
        return int(self._server.server_address[1])

    def __enter__(self) -> "Depot":
        try:
            self._server = BoundedServer(self._address, self._handler())
        except OSError as error:
            raise UserError(
                _("cannot serve updates: {error}").format(error=error.strerror),
                where="{}:{}".format(*self._address),
                to_do=_("choose another updates.port"),
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name="updates-http", daemon=True).start()
        self._looking.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        assert self._server is not None, "entered before"
        self._server.shutdown()
        self._server.server_close()

    def look(self) -> None:
        """Ask for every board's update once; what fails is counted by its reason and tried next time."""
        for board in self._shelf.boards:
            try:
                self._fetch(board)
            except FormatError as error:
                self.failures[error.reason] += 1
                log.warning("the update of %s is not taken: %s", board, error)
            except (OSError, ValueError) as error:  # URLError and timeouts are OSErrors
                self.failures["unreachable"] += 1
                log.warning("no update of %s: %s", board, error)

    def described(self) -> dict[str, Any]:
        """For status.json."""
        return {
            "boards": self._shelf.numbers,
            "fetched": self.fetched,
            "served": self.served,
            "not_there": self.not_there,
            "turned_away": self._server.turned_away if self._server else 0,
            "failures": dict(self.failures),
        }

    def _fetch(self, board: str) -> None:
        signed = b"".join(self._get(f"{board}.update", MANIFEST_SIZE_MAX + 1))
        manifest = self._shelf.publisher.read(signed, board)
        if self._shelf.wants(manifest):
            self._shelf.put(manifest, self._get(manifest.names[1], manifest.size + 1))
            self.fetched += 1
            log.info("update %d of %s is here", manifest.number, board)

    def _get(self, name: str, size_max: int) -> Iterator[bytes]:
        with urllib.request.urlopen(f"{self._url}/{name}", timeout=TIMEOUT_S) as answer:  # noqa: S310 (settings allow http and https)
            left = size_max
            while left and (chunk := answer.read(min(CHUNK, left))):
                yield chunk
                left -= len(chunk)

    def _look_for_ever(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(self._every_s)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        depot = self

        class Handler(BaseHTTPRequestHandler):
            timeout = TIMEOUT_S

            def do_GET(self) -> None:
                depot._serve(self)

            def log_message(self, form: str, *arguments: object) -> None:
                log.debug(form, *arguments)

        return Handler

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        file = self._shelf.open(request.path.removeprefix("/"))
        if file is None:
            self.not_there += 1
            request.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            request.send_response(HTTPStatus.OK)
            request.send_header("Content-Type", "application/octet-stream")
            request.send_header("Content-Length", str(size))
            request.end_headers()
            shutil.copyfileobj(file, request.wfile)
        self.served += 1
