"""Reads heat meters through a serial level converter: one question, one answer, at 2,400 baud. Blocks its thread."""

from typing import Protocol

import serial

from gateway.meters import mbus
from gateway.meters.mbus import MBusRefusal, Telegram

HEAD_SIZE = 4
"""68 L L 68: after these we know how long the answer is."""
TAIL_SIZE = 2
ANSWER_S_MAX = 1.0
"""EN 13757-2 lets a meter think for 330 bit times and 50 ms; converters with a network behind them need longer."""


class Line(Protocol):
    """A serial port, as pyserial has it: `read` returns fewer bytes than asked when its time is over."""

    def reset_input_buffer(self) -> None:
        """Forget what has come in: a late answer is never taken for the next question's."""
        ...

    def write(self, data: bytes, /) -> object:
        """Send."""
        ...

    def read(self, size: int, /) -> bytes:
        """Receive."""
        ...


def open_line(device: str, *, baud: int = 2400) -> Line:
    """The level converter at /dev/serial/by-id/...: 8 bits, even parity. Raises OSError."""
    line: Line = serial.Serial(device, baud, parity=serial.PARITY_EVEN, timeout=ANSWER_S_MAX)
    return line


def read_telegram(line: Line, address: int) -> Telegram | MBusRefusal | None:
    """What the meter at a primary address says now; None if nobody answers. Raises OSError if the line is gone.

    The frame count bit stays set: a meter that splits its answer sends the first part, where its register is.
    """
    line.reset_input_buffer()
    line.write(mbus.ask(address))
    head = line.read(HEAD_SIZE)
    if not head:
        return None
    if len(head) < HEAD_SIZE or head[0] != 0x68 or head[3] != 0x68 or head[1] != head[2]:
        return MBusRefusal.MALFORMED
    data = head + line.read(head[1] + TAIL_SIZE)
    if len(data) != HEAD_SIZE + head[1] + TAIL_SIZE or head[1] < 3 or data[5] != address:
        return MBusRefusal.MALFORMED
    return mbus.parse(data)
