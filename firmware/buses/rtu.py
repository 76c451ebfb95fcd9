"""Modbus RTU as its master: one question at a time, never waiting, and no answer believed that could be another's.

    question = unit function address(2) count(2) crc(2)        answer = unit function bytes data crc(2)

An answer carries no address: one that comes late looks like the answer to the next question. So after a timeout
 1. the same question is asked once more: then an answer that was late is the right one all the same;
 2. the line is listened to for a timeout before another question, and what comes is thrown away (Telegraf#9253).
"""

from node.port import const, ticks_diff

_GAP_MS = const(25)  # OpenEMS PR#3099: some meters need it between an answer and the next question
_EXCEPTION = const(0x80)
_BUFFER_MAX = const(512)

WAITING = const(0)
ANSWERED = const(1)
FAILED = const(2)


def crc16(data):
    """CRC-16/MODBUS."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def question(unit, function, address, count):
    """The bytes that ask for `count` registers from `address`."""
    body = bytes([unit, function]) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
    return body + crc16(body).to_bytes(2, "little")


class Master:
    """One question at a time over `uart` (any(), read(n), write(bytes)); the caller polls.

    Counts by name in `counts`: answered, timeout, late (bytes after their time), crc, other_unit, other_function,
    other_length, exception.
    """

    def __init__(self, uart, ticks, timeout_ms=1000):
        self._uart = uart
        self._ticks = ticks
        self._timeout_ms = timeout_ms
        self._asked = None
        self._buffer = b""
        self._at_ms = None
        self._quiet_ms = 0
        self._is_repeat = False
        self.answer = None
        self.counts = {}

    @property
    def is_idle(self):
        """Whether ask() may be called: nothing is asked, and the line was quiet for long enough."""
        if self._asked is not None:
            return False
        if self._drain():
            self._at_ms = self._ticks()  # somebody is still talking
        return self._at_ms is None or ticks_diff(self._ticks(), self._at_ms) >= self._quiet_ms

    def ask(self, unit, function, address, count):
        """Ask; poll() tells the rest."""
        self._is_repeat = False
        self._send((unit, function, address, count))

    def poll(self):
        """WAITING, ANSWERED (the registers' bytes are in `answer`) or FAILED; the last two end the question."""
        waiting = self._uart.any()
        if waiting:
            self._buffer = (self._buffer + (self._uart.read(waiting) or b""))[-_BUFFER_MAX:]
        found = self._search()
        if found == "answered":
            return self._end(ANSWERED, found)
        if found == "exception":  # an answer too: asking again gets it again
            return self._end(FAILED, found)
        if ticks_diff(self._ticks(), self._at_ms) < self._timeout_ms:
            return WAITING
        if self._is_repeat:
            return self._end(FAILED, self._reason())
        self._count(self._reason())
        self._is_repeat = True
        self._drain()
        self._send(self._asked)
        return WAITING

    def _send(self, asked):
        self._asked = asked
        self._buffer = b""
        self.answer = None
        self._uart.write(question(*asked))
        self._at_ms = self._ticks()

    def _search(self):
        """Look for the answer at every place: a transceiver that turns round puts a byte of noise before it."""
        unit, function, _address, count = self._asked
        data, size = self._buffer, 5 + 2 * count
        for at in range(len(data) - 4):
            if data[at] != unit:
                continue
            if data[at + 1] == function | _EXCEPTION and _is_whole(data[at : at + 5]):
                return "exception"
            is_ours = data[at + 1] == function and data[at + 2] == 2 * count and len(data) >= at + size
            if is_ours and _is_whole(data[at : at + size]):
                self.answer = data[at + 3 : at + size - 2]
                return "answered"
        return None

    def _reason(self):
        """What was wrong with what came, by its beginning."""
        unit, function, _address, count = self._asked
        data = self._buffer
        if len(data) < 3:
            return "timeout"
        if data[0] != unit:
            return "other_unit"
        if data[1] & ~_EXCEPTION != function:
            return "other_function"
        if data[1] == function and data[2] != 2 * count:
            return "other_length"
        return "crc" if len(data) >= 5 else "timeout"

    def _end(self, outcome, name):
        self._count(name)
        is_clean = name in ("answered", "exception") and not self._is_repeat
        self._quiet_ms = _GAP_MS if is_clean else self._timeout_ms
        self._asked = None
        self._at_ms = self._ticks()
        return outcome

    def _drain(self):
        waiting = self._uart.any()
        if waiting:
            self._uart.read(waiting)
            self.counts["late"] = self.counts.get("late", 0) + waiting
        return waiting

    def _count(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1


def _is_whole(frame):
    return crc16(frame[:-2]).to_bytes(2, "little") == frame[-2:]
