"""firmware/main.py with a plug's meter chip: `micropython device_with_plug.py FIRMWARE CONFIG.json`.

The pins are of paper: 2000 W at 230 V, of which this chip counts 2 % too little and shows 1 % too many volts.
Its time runs a hundred times as fast, so that half an hour of a heater takes seconds; the network's time does not.
Everything else is the firmware itself.
"""

import sys

sys.path.insert(0, sys.argv[1])

import board
import main
import meters.bl0937
from node import report
from node.port import ticks_diff, ticks_ms

_FAST = 100
_CF_HZ = 2000 / 3600 / (1218 * 1218 * 1830 / (1000 * 1721506 * 3600)) * 0.98
_VOLTAGE_HZ = 230 * 1.01 * 15397 / (1.218 * 1830)
_CURRENT_HZ = 2000 / 230 * 94638 * 0.001 / 1.218
_begun = ticks_ms()


_now_ms = 0


def fast_ms():
    """The plug's time. It stands still within a poll: this processor is no hundred times as fast."""
    return _now_ms


class Pin:
    """Counts pulses that come at a rate, from now on."""

    def __init__(self, rate):
        self._rate = rate
        self._count = 0.0
        self._at_ms = fast_ms()

    def value(self):
        now_ms = fast_ms()
        self._count += (now_ms - self._at_ms) * self._rate() / 1000
        self._at_ms = now_ms
        return int(self._count)


class Plug:
    """What boards/hardware.py hands to a driver."""

    is_voltage = True

    def __init__(self, folder):
        self._folder = folder

    def pulses(self, role):
        return Pin((lambda: _CF_HZ) if role == "cf" else (lambda: _VOLTAGE_HZ if self.is_voltage else _CURRENT_HZ))

    def switch(self, _role, is_on):
        self.is_voltage = is_on

    def store(self, name):
        from meters.store import FileStore

        return FileStore(self._folder + "/" + name)


_poll = meters.bl0937.PulseMeter.poll


def poll_often(meter):
    global _now_ms
    _now_ms = ticks_diff(ticks_ms(), _begun) * _FAST
    _poll(meter)
    return 50


meters.bl0937.ticks_ms = fast_ms
meters.bl0937.PulseMeter.poll = poll_often
assert hasattr(report, "_is_over")
report._is_over = lambda _since, _wait_ms: True  # a minute of the plug's is less than a second of the network's
board.hardware = lambda config: Plug(config["state_dir"])
sys.exit(main.main([sys.argv[2]]))
