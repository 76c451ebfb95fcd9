"""Any meter of hardware/meters over RS-485 (Modbus RTU). Tables are compiled: the device does not read TOML.

A register is read by a question of its own or with those it touches; holes between registers may not be readable.
"""

from buses import rtu
from buses.words import REGISTERS, energy_wh
from node.port import const, ticks_diff, ticks_ms

import meters
from meters.trust import Trusted

_WAIT_MS = const(20)
_BACKOFF_MS = const(2000)
_BACKOFF_MS_MAX = const(300000)
_STALE_POLLS = const(4)


@meters.driver("modbus")
def make(config, _clock, hardware):
    """The meter of {"type": "modbus", "table": "schneider-iem3155", "unit": 1, "baud": 9600, "parity": "N"}.

    Also `poll_ms` (5000) and `timeout_ms` (1000).
    """
    name = config["table"].replace("-", "_")
    table = getattr(__import__("meters.tables." + name, None, None, [name]), "TABLE")  # noqa: B009
    parity = {"N": None, "E": 0, "O": 1}[config.get("parity", "N")]
    uart = hardware.uart(config.get("baud", 9600), 8, parity, config.get("stop", 1))
    return ModbusMeter(config, table, uart, ticks_ms)


def questions(rows, registers_max):
    """[(address, count, rows)]: the fewest questions for these rows of a table."""
    joined = []
    for row in sorted(rows, key=lambda row: row[1]):
        address, count = row[1], REGISTERS[row[2]]
        if joined and sum(joined[-1][:2]) == address and joined[-1][1] + count <= registers_max:
            first, before, together = joined[-1]
            joined[-1] = (first, before + count, together + [row])
        else:
            joined.append((address, count, [row]))
    return joined


class ModbusMeter:
    """Asks every `poll_ms`, keeps what is believed; a meter that does not answer is asked ever less often."""

    def __init__(self, config, table, uart, ticks=ticks_ms):
        self._unit = config.get("unit", 1)
        self._poll_ms = config.get("poll_ms", 5000)
        self._function = table["function"]
        self._questions = questions(table["energy"], table["registers_max"])
        self._trusted = [(row[0], Trusted(table["power_max_w"])) for row in table["energy"]]
        self._ticks = ticks
        self._master = rtu.Master(uart, ticks, config.get("timeout_ms", 1000))
        self._at = None
        self._found = {}
        self._began_ms = None
        self._pause_ms = 0
        self._backoff_ms = 0
        self.no_value = 0

    def poll(self):
        """Go on with the round that is under way, or begin one when it is time."""
        now_ms = self._ticks()
        if self._at is None:
            if self._began_ms is not None and ticks_diff(now_ms, self._began_ms) < self._pause_ms:
                return min(_WAIT_MS * 5, self._pause_ms)
            self._at, self._found, self._began_ms = 0, {}, now_ms
            self._is_asked = False
        if not self._is_asked:
            if self._master.is_idle:
                address, count, _rows = self._questions[self._at]
                self._master.ask(self._unit, self._function, address, count)
                self._is_asked = True
            return _WAIT_MS
        outcome = self._master.poll()
        if outcome == rtu.ANSWERED:
            self._take(self._questions[self._at])
        elif outcome == rtu.FAILED:
            self._fail()
        return _WAIT_MS

    def read(self):
        """All registers of the table, believed and not older than a few rounds; else OSError."""
        now_ms = self._ticks()
        for _quantity, trusted in self._trusted:
            if trusted.is_stale(now_ms, _STALE_POLLS * self._poll_ms):
                raise OSError("the meter does not answer, or nothing believable")
        return [(quantity, trusted.wh) for quantity, trusted in self._trusted]

    def state(self):
        """What was answered and what was wrong with it, by name."""
        state = {"modbus_" + name: count for name, count in self._master.counts.items()}
        state["modbus_no_value"] = self.no_value
        for name in ("jumps", "backwards", "replaced"):
            state["register_" + name] = sum(getattr(trusted, name) for _quantity, trusted in self._trusted)
        return state

    def _take(self, asked):
        address, _count, rows = asked
        self._is_asked = False
        for row in rows:
            at = 2 * (row[1] - address)
            wh = energy_wh(row, self._master.answer[at : at + 2 * REGISTERS[row[2]]])
            if wh is None:
                self.no_value += 1
            else:
                self._found[row[0]] = wh
        self._at += 1
        if self._at == len(self._questions):
            self._end_round()

    def _end_round(self):
        """Take a round whole or not at all: registers belong together."""
        self._at = None
        self._pause_ms = self._poll_ms
        self._backoff_ms = 0
        if len(self._found) < len(self._trusted):
            return
        now_ms = self._ticks()
        for quantity, trusted in self._trusted:
            trusted.take(self._found[quantity], now_ms)

    def _fail(self):
        self._at = None
        self._is_asked = False
        self._backoff_ms = min(_BACKOFF_MS_MAX, 2 * self._backoff_ms) or _BACKOFF_MS
        self._pause_ms = max(self._poll_ms, self._backoff_ms)
