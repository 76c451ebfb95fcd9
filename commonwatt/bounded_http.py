"""An HTTP server that no flood takes all threads of: so many are answered at once, one more comes again.

For the small pages that services show of themselves: read only, whole answers from memory.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

log = logging.getLogger(__name__)

TIMEOUT_S = 20.0
"""For every step of a request."""
POLL_S = 0.1
"""How soon the server notices that it should end."""
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


Answers = Callable[[str, str], Answer | None]
"""From a path and the header Accept-Language to what is there; None: nothing. Called by several threads."""


class Pages:
    """Answers GET at an address while its `with` lasts. `headers`: of every answer. `with_query`: whether `answers`
    wants what stands behind the path's question mark too."""

    def __init__(
        self,
        address: tuple[str, int],
        answers: Answers,
        *,
        headers: Mapping[str, str],
        name: str,
        with_query: bool = False,
    ) -> None:
        self._address = address
        self._handler = _handler(answers, headers, with_query=with_query)
        self._name = name
        self._server: BoundedServer | None = None

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        assert self._server is not None, "serves while its `with` lasts"
        return int(self._server.server_address[1])

    def __enter__(self) -> "Pages":
        """Begin. OSError if the address is taken or not ours."""
        self._server = BoundedServer(self._address, self._handler)
        threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name=self._name, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._server is not None, "entered before"
        self._server.shutdown()
        self._server.server_close()


def _handler(answers: Answers, headers: Mapping[str, str], *, with_query: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S

        def do_GET(self) -> None:
            target = self.path if with_query else self.path.partition("?")[0]
            found = answers(target, self.headers.get("Accept-Language", ""))
            if found is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(found.status)
            lines = {"Content-Type": found.content_type, "Content-Length": str(len(found.body)), **headers}
            for line, value in lines.items():
                self.send_header(line, value)
            self.end_headers()
            self.wfile.write(found.body)

        def version_string(self) -> str:
            return "commonwatt"

        def log_message(self, form: str, *arguments: object) -> None:
            log.debug(form, *arguments)

    return Handler
