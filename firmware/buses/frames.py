"""Cuts frames of a fixed size out of a stream: a frame is what its checksum says, not what begins like one.

A header can also stand in the middle of a frame (Tasmota#6302). So after a mismatch one byte is dropped, not a frame.
"""

from node.port import const

_READ_MAX = const(512)


class FrameReader:
    """Reads `uart` (any(), read(n)) for frames of `size` bytes that `is_frame(bytes)` accepts."""

    def __init__(self, uart, size, is_frame):
        self._uart = uart
        self._size = size
        self._is_frame = is_frame
        self._buffer = b""
        self.frames = 0
        self.noise_bytes = 0

    def take(self):
        """The frames that have come since; never waits."""
        waiting = min(self._uart.any(), _READ_MAX)
        data = self._buffer + ((self._uart.read(waiting) if waiting else None) or b"")
        found = []
        at = 0
        while len(data) - at >= self._size:
            frame = data[at : at + self._size]
            if self._is_frame(frame):
                found.append(frame)
                at += self._size
            else:
                self.noise_bytes += 1
                at += 1
        self._buffer = data[at:]
        self.frames += len(found)
        return found

    def forget(self):
        """Drop what is half there: the next byte begins an answer."""
        self.noise_bytes += len(self._buffer)
        self._buffer = b""
