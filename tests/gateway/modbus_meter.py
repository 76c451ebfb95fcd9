"""A Modbus TCP meter that fails on request: real bytes over a real socket, in a thread."""

import socketserver
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

IMPORT, EXPORT = 0x0C83, 0x0C87


@dataclass
class FaultyMeter:
    """Serves while its `with` lasts. `mode`: ok, silent, exception, short or other-id."""

    mode: str = "ok"
    memory: dict[int, int] = field(default_factory=dict)
    asked: int = 0

    def show(self, import_wh: int, export_wh: int) -> None:
        """Set the counters as an iEM3155 holds them: signed 64 bits, most significant word first."""
        for address, register_wh in ((IMPORT, import_wh), (EXPORT, export_wh)):
            for index, word in enumerate(struct.unpack(">4H", struct.pack(">q", register_wh))):
                self.memory[address + index] = word

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> "FaultyMeter":
        meter = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while head := self.request.recv(12):
                    answer = meter.answer(head)
                    if answer:
                        self.request.sendall(answer)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_exception: Any) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: bytes) -> bytes:
        """The answer to one request, by the mode."""
        self.asked += 1
        transaction, _, _, unit, function, address, count = struct.unpack(">HHHBBHH", request)
        if self.mode == "silent":
            return b""
        if self.mode == "exception":
            return struct.pack(">HHHBBB", transaction, 0, 3, unit, function | 0x80, 4)
        count -= 1 if self.mode == "short" else 0
        transaction += 1 if self.mode == "other-id" else 0
        words = [self.memory.get(address + index, 0) for index in range(count)]
        body = struct.pack(f">BBB{count}H", unit, function, 2 * count, *words)
        return struct.pack(">HHH", transaction, 0, len(body)) + body
