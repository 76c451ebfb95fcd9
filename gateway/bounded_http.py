"""An HTTP server that no flood takes all threads of: so many are answered at once, one more comes again."""

import logging
import threading
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
