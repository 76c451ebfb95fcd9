"""CSE7766 over UART (4800 8E1): sends 24 bytes about ten times a second, unasked.

    [0] 55 good, AA not calibrated, Fx flags  [1] 5A  u24 big-endian: Vc Vt Ic It Pc Pt  [20] flags  [21] CF u16
    [23] = sum of bytes 2..22      V = Vc/Vt   I = Ic/It   P = Pc/Pt   Wh per pulse = Pc / 3.6e9

Source: esphome/components/cse7766; frames: arendst/Tasmota#11389, letscontrolit/ESPEasy#1920. With header F2 the
power's period is out of range: 0 W, whatever Pt says (41 117 W there). CF has 16 bits: it wraps after 98 Wh.
"""

from buses.frames import FrameReader
from node.port import const, ticks_ms

import meters
from meters.chip import ChipMeter, scaled
from meters.counting import gain

_POLL_MS = const(200)
_SIZE = const(24)
_DENOMINATOR = 3600000000
# The coefficients burnt into chips seen so far give 1.39 to 1.50 mWh; beyond 1 to 2 mWh it is damage.
_COEFFICIENT_MIN = const(3600000)
_COEFFICIENT_MAX = const(7200000)
_NO_VOLTAGE = const(8)
_NO_CURRENT = const(4)
_NO_POWER = const(2)
_BAD_COEFFICIENTS = const(1)


@meters.driver("cse7766")
def make(config, _clock, hardware):
    """The meter of {"type": "cse7766"}."""
    return Cse7766(config, hardware, hardware.uart(4800, 8, 0, 1))


def is_frame(frame):
    """Whether 24 bytes are one frame, by header and checksum."""
    return (
        (frame[0] in (0x55, 0xAA) or frame[0] & 0xF0 == 0xF0)
        and frame[1] == 0x5A
        and sum(frame[2:23]) & 0xFF == frame[23]
    )


class Cse7766(ChipMeter):
    """Counts with the chip's own coefficient, once two frames in a row agree on it; it never changes in a boot."""

    def __init__(self, config, hardware, uart, ticks=ticks_ms):
        ChipMeter.__init__(self, config, hardware, 16, 0, _DENOMINATOR, ticks)
        self._by = gain(config, "energy")[0]
        self._frames = FrameReader(uart, _SIZE, is_frame)
        self._coefficient = None
        self._candidate = None
        self._gains = [gain(config, name) for name in ("voltage", "current", "power")]
        self.foreign = 0

    def poll(self):
        """Take the frames that came."""
        for frame in self._frames.take():
            flags = frame[0] & 0x0F if frame[0] & 0xF0 == 0xF0 else 0
            if frame[0] == 0xAA or flags & _BAD_COEFFICIENTS or not self._agrees(_u24(frame, 14)):
                self.foreign += 1
                continue
            self._took(frame[21] << 8 | frame[22])
            self._show(frame, flags)
        return _POLL_MS

    def state(self):
        """As ChipMeter, and `foreign`: good frames of an uncalibrated chip, or of another one."""
        state = ChipMeter.state(self)
        state["frames"] = self._frames.frames
        state["foreign"] = self.foreign
        state["noise_bytes"] = self._frames.noise_bytes
        return state

    def _agrees(self, coefficient):
        if self._coefficient is None:
            if not _COEFFICIENT_MIN <= coefficient <= _COEFFICIENT_MAX or coefficient != self._candidate:
                self._candidate = coefficient
                return False
            self._coefficient = coefficient
            self._nominal = (coefficient, _DENOMINATOR)
            self._numerator = coefficient * self._by
            self.counter.per_hour_max = 2 * self._power_max_w * _DENOMINATOR // coefficient
        return coefficient == self._coefficient

    def _show(self, frame, flags):
        voltage, current, power = self._gains
        if flags & _NO_VOLTAGE:
            self.values.pop("voltage_mv", None)  # not measured; of current and power it means: too little to measure
        else:
            self.values["voltage_mv"] = _ratio(frame, 2, False, voltage)
        self.values["current_ma"] = _ratio(frame, 8, flags & _NO_CURRENT, current)
        self.values["power_mw"] = _ratio(frame, 14, flags & _NO_POWER, power)


def _ratio(frame, at, is_out_of_range, fraction):
    """Coefficient over period in thousandths; 0 where the chip says that there is nothing to measure."""
    period = _u24(frame, at + 3)
    if is_out_of_range or period == 0:
        return 0
    return scaled(_u24(frame, at), 1000, period, fraction)


def _u24(frame, at):
    return frame[at] << 16 | frame[at + 1] << 8 | frame[at + 2]
