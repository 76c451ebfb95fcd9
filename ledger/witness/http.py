"""A witness on HTTP: `POST /add-checkpoint` and `GET /<sha256 of the origin>/checkpoint` (C2SP tlog-witness).

The standard library's server is enough: a witness gets a request a minute, and a town hall installs nothing more.
TLS and limits per address are those of the web server in front of it.
"""

import hashlib
import logging
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from commonwatt.clock import Civil
from commonwatt.errors import FormatError, StorageError
from ledger.log.note import Verifier
from ledger.witness import decide as witness
from ledger.witness.cosignature import CosigningKey
from ledger.witness.decide import Answer, Remembered, Request, Status
from ledger.witness.store import WitnessStore

log = logging.getLogger(__name__)

READ_TIMEOUT_S = 10
_TEXT = "text/plain; charset=utf-8"


class Witness:
    """Decides, remembers, then cosigns: never the other way round."""

    def __init__(self, *, key: CosigningKey, logs: Sequence[Verifier], store: WitnessStore, clock: Civil) -> None:
        assert all(known.public_key != key.key.public_key for known in logs), "a witness has a key of its own"
        self._key = key
        self._logs = logs
        self._store = store
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> tuple[Answer, str]:
        """The answer and, when it is COSIGNED, the signature line."""
        try:
            request = witness.parse_request(body)
        except FormatError as error:
            return Answer(Status.MALFORMED, str(error)), ""
        refused = witness.judge_log(request, self._logs)
        if refused is not None:
            return refused, ""
        last = self._store.last(request.head.origin)
        answer = witness.judge_growth(request, last)
        return (answer, "") if answer.status is not Status.COSIGNED else self._cosign(request, last)

    def checkpoint(self, origin_sha256: str) -> bytes | None:
        """The last cosigned checkpoint of a log named by the hash of its origin."""
        for known in self._logs:
            if hashlib.sha256(known.name.encode()).hexdigest() == origin_sha256:
                return self._store.checkpoint(known.name)
        return None

    def _cosign(self, request: Request, last: Remembered) -> tuple[Answer, str]:
        head = request.head
        line = self._key.cosign(request.signed.text, int(self._clock.now_s()))
        signed = request.log_signed(self._logs) + line.encode()
        if not self._store.swap(head.origin, last, Remembered(head.size, head.root), signed):
            size = self._store.last(head.origin).size
            return Answer(Status.CONFLICT, "another request was faster", size=size), ""
        return Answer(Status.COSIGNED, "consistent"), line


def serve(host: str, port: int, judge: Witness) -> ThreadingHTTPServer:
    """A bound server (port 0: a free one); `serve_forever` runs it."""

    class Handler(_Handler):
        witness = judge

    return ThreadingHTTPServer((host, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # logs keep the connection
    timeout = READ_TIMEOUT_S
    witness: ClassVar[Witness]

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > witness.REQUEST_SIZE_MAX:
            self.close_connection = True
            self._send(413 if length.isdecimal() else 411, "say how long the request is; at most 64 KiB\n")
            return
        body = self.rfile.read(int(length))
        if self.path != "/add-checkpoint":
            self._send(404, "a witness knows POST /add-checkpoint\n")
            return
        try:
            answer, line = self.witness.add_checkpoint(body)
        except StorageError as error:
            log.error("%s", error)
            self._send(500, "this witness cannot remember and does not cosign\n")
            return
        log.info("%d %s", answer.status, answer.why)
        if answer.size is not None:
            self._send(answer.status, f"{answer.size}\n", witness.SIZE_TYPE)
        else:
            self._send(answer.status, line or answer.why + "\n")

    def do_GET(self) -> None:
        parts = self.path.split("/")
        try:
            found = self.witness.checkpoint(parts[1]) if len(parts) == 3 and parts[2] == "checkpoint" else None
        except StorageError as error:
            log.error("%s", error)
            self._send(500, "this witness cannot remember\n")
            return
        if found is None:
            self._send(404, "no checkpoint of such a log was cosigned here\n")
        else:
            self._send(200, found.decode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        log.debug(format, *args)

    def _send(self, status: int, text: str, content_type: str = _TEXT) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
