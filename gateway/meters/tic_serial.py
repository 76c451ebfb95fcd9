"""A USB dongle on a Linky's TIC terminals: 7 data bits, even parity, listening only. Blocks its thread a little."""

from typing import Protocol

import serial

from gateway.meters import tic_meter
from gateway.meters.tic import Frame, Mode, Reader
from gateway.meters.tic_meter import Trusted

STALE_S = 60.0
"""A Linky sends a frame every two seconds or so: without one for this long there is no value."""
READ_SIZE = 1024
READ_S_MAX = 0.1


class Source(Protocol):
    """A serial port, as pyserial has it: `read` returns fewer bytes than asked when its time is over."""

    def read(self, size: int, /) -> bytes:
        """Receive."""
        ...


def open_dongle(device: str, mode: Mode) -> "TicDongle":
    """The dongle at /dev/serial/by-id/... Raises OSError."""
    port = serial.Serial(device, mode.baud, bytesize=serial.SEVENBITS, parity=serial.PARITY_EVEN, timeout=READ_S_MAX)
    return TicDongle(port, mode)


class TicDongle:
    """Believes registers as frames come in. The mode is the meter's; its display says it (menu "mode TIC")."""

    def __init__(self, source: Source, mode: Mode) -> None:
        self.reader = Reader(mode)
        self._source = source
        self._trusted: dict[int, Trusted] = {}

    def poll(self, now_s: float) -> None:
        """Take what has come in. Raises OSError if the dongle is gone: open it anew."""
        for frame in self.reader.feed(self._source.read(READ_SIZE)):
            self._take(frame, now_s)

    def registers_wh(self, now_s: float) -> tuple[tuple[int, int], ...] | None:
        """(quantity, Wh) of every register the meter has, all believed within the last minute; else None."""
        pairs = []
        for quantity, trusted in sorted(self._trusted.items()):
            if trusted.register_wh is None or now_s - trusted.seen_s >= STALE_S:
                return None
            pairs.append((quantity, trusted.register_wh))
        return tuple(pairs) or None

    def _take(self, frame: Frame, now_s: float) -> None:
        pairs = tic_meter.registers_wh(frame)
        known = set(self._trusted)
        if pairs is None or (known and known != {quantity for quantity, _ in pairs}):
            return  # a short frame, or one that lost a register: it tells nothing whole
        if not known and frame.bad:
            return  # which registers the meter has, only a frame without a fault shows
        for quantity, register_wh in pairs:
            self._trusted.setdefault(quantity, Trusted()).take(register_wh, now_s)
