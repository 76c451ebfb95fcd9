"""An HTTP server that no flood takes all threads of: so many are answered at once, one more comes again.

For the small pages that services show of themselves: whole answers from memory; what they are sent is small too.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from commonwatt.errors import UserError
from commonwatt.i18n import _

log = logging.getLogger(__name__)

TIMEOUT_S = 20.0
"""For every step of a request."""
POLL_S = 0.1
"""How soon the server notices that it should end."""
READ_AWAY_PIECES = 16
"""So many times 64 KiB of what is too long are read away after its answer."""
ANSWERING_MAX = 16
"""Who is answered at once; one more finds the door shut."""


class BoundedServer(ThreadingHTTPServer):
    """Takes no more connections at once than `ANSWERING_MAX`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.turned_away = 0
        self._doors = threading.BoundedSemaphore(ANSWERING_MAX)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for this connection, if there is one left."""
        if self._doors.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.turned_away += 1
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer it, then let the next one in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._doors.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up minds his own business."""
        log.debug("the request of %s ended early", client_address, exc_info=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets."""

    content_type: str
    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Posted:
    """What somebody sent. `body`: None if it is longer than is read, or does not say how long it is."""

    target: str
    content_type: str
    body: bytes | None
    accept_language: str
    client: str


Answers = Callable[[str, str], Answer | None]
"""From a path and the header Accept-Language to what is there; None: nothing. Called by several threads."""


Takes = Callable[[Posted], Answer]
"""From what was sent to what it gets. Called by several threads."""


class Pages:
    """Answers GET at an address while its `with` lasts. `headers`: of every answer. `with_query`: whether `answers`
    wants what stands behind the path's question mark too. `takes`: answers POST as well, with bodies of up to
    `body_bytes_max`. `to_do`: what to say when the address cannot be had."""

    def __init__(
        self,
        address: tuple[str, int],
        answers: Answers,
        *,
        headers: Mapping[str, str],
        name: str,
        to_do: str,
        with_query: bool = False,
        takes: Takes | None = None,
        body_bytes_max: int = 0,
    ) -> None:
        self._address = address
        handler = _handler(answers, headers, with_query=with_query)
        self._handler = handler if takes is None else _taking(handler, takes, body_bytes_max)
        self._name, self._to_do = name, to_do
        self._server: BoundedServer | None = None

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        assert self._server is not None, "serves while its `with` lasts"
        return int(self._server.server_address[1])

    def __enter__(self) -> "Pages":
        """Begin. UserError if the address is taken or not ours."""
        try:
            self._server = BoundedServer(self._address, self._handler)
        except OSError as error:
            host, port = self._address
            raise UserError(
                _("cannot listen on {host}:{port}: {error}").format(host=host, port=port, error=error.strerror),
                to_do=self._to_do,
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name=self._name, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._server is not None, "entered before"
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S
    always: Mapping[str, str] = {}

    def say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        size = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
        for line, value in {**size, **self.always, **answer.headers}.items():
            self.send_header(line, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def version_string(self) -> str:
        return "commonwatt"

    def log_message(self, form: str, *arguments: object) -> None:
        log.debug(form, *arguments)


def _handler(answers: Answers, headers: Mapping[str, str], *, with_query: bool) -> type[_Handler]:
    class Handler(_Handler):
        always = headers

        def do_GET(self) -> None:
            target = self.path if with_query else self.path.partition("?")[0]
            found = answers(target, self.headers.get("Accept-Language", ""))
            if found is None:
                self.send_error(HTTPStatus.NOT_FOUND)
            else:
                self.say(found)

    return Handler


def _taking(handler: type[_Handler], takes: Takes, body_bytes_max: int) -> type[_Handler]:
    class Taking(handler):  # type: ignore[valid-type,misc]  # a class made at run time
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
            told = self.headers
            size = told.get("Content-Length", "")
            body = self.rfile.read(int(size)) if size.isdecimal() and int(size) <= body_bytes_max else None
            words = told.get("Content-Type", ""), body, told.get("Accept-Language", ""), self.client_address[0]
            self.say(takes(Posted(self.path, *words)))
            if body is None:
                self._read_away()

        def _read_away(self) -> None:
            """Some of what nobody reads: a connection that is closed before loses the answer on its way."""
            self.connection.settimeout(POLL_S)
            with suppress(OSError):
                for _ in range(READ_AWAY_PIECES):
                    if not self.rfile.read1(65_536):
                        break

    return Taking
