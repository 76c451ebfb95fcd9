"""BL0937 and HLW8012: one pin's frequency is the power, another's the voltage or the current, as a third one selects.

    W/Hz = Vref^2 * divider / R / 1721506               (BL0937, Vref 1.218 V)
    W/Hz = Vref^2 * divider / R * 64/24 / 3579000       (HLW8012, Vref 2.43 V)

Source: esphome/components/hlw8012. Each pulse of CF is a portion of energy, so pulses are counted and watts are never
integrated. The counter is ours: it begins at 0 when we start, and pulses between a power cut's last save and the cut
are lost with the light, at most one reading's.
"""

from node.port import const, ticks_diff, ticks_ms

import meters
from meters.chip import ChipMeter, scaled
from meters.counting import gain

_POLL_MS = const(1000)
_TURN_MS = const(4000)  # CF1 shows voltage and current by turns; the first interval of each is not looked at
_BITS = const(30)
_CLOCK_HZ = const(3579000)


@meters.driver("bl0937")
def make(config, _clock, hardware):
    """The meter of {"type": "bl0937", "chip": "bl0937" or "hlw8012", "shunt_uohm": 1000, "divider": 1830}."""
    return PulseMeter(config, hardware, ticks_ms)


def constants(chip, shunt_uohm, divider):
    """(Wh per pulse of CF, mV per Hz of CF1, mA per Hz of CF1), each as a fraction."""
    if chip == "bl0937":
        return (
            (1218 * 1218 * divider, shunt_uohm * 1721506 * 3600),
            (1218 * divider, 15397),
            (1218 * 1000000, shunt_uohm * 94638),
        )
    if chip == "hlw8012":
        return (
            (2430 * 2430 * divider * 64, shunt_uohm * 24 * _CLOCK_HZ * 3600),
            (2430 * divider * 256, _CLOCK_HZ),
            (2430 * 1000000 * 512, shunt_uohm * 24 * _CLOCK_HZ),
        )
    raise ValueError("unknown pulse chip")


class PulseMeter(ChipMeter):
    """`hardware.pulses(role)` counts the pulses of "cf" and "cf1"; `hardware.switch("sel", ..)` selects."""

    def __init__(self, config, hardware, ticks=ticks_ms):
        wh, self._mv, self._ma = constants(config.get("chip", "bl0937"), config["shunt_uohm"], config["divider"])
        ChipMeter.__init__(self, config, hardware, _BITS, wh[0], wh[1], ticks)
        self._cf = hardware.pulses("cf")
        self._cf1 = hardware.pulses("cf1")
        self._hardware = hardware
        self._gains = [gain(config, name) for name in ("voltage", "current", "power")]
        self.counter.start(self._cf.value(), ticks())
        self._power_from = (self._cf.value(), ticks())
        self._turn(is_voltage=True)

    def poll(self):
        """Count, and let the selected value be seen."""
        count, now_ms = self._cf.value(), self._ticks()
        self._took(count)
        elapsed_ms = ticks_diff(now_ms, self._power_from[1])
        if elapsed_ms >= _TURN_MS:
            pulses = count - self._power_from[0]
            self.values["power_mw"] = self._shown(pulses, elapsed_ms, self._nominal, 3600000, self._gains[2])
            self._power_from = (count, now_ms)
        self._poll_selected(now_ms)
        return _POLL_MS

    def _poll_selected(self, now_ms):
        if self._selected_from is None:  # the first interval after a turn is over
            self._selected_from = (self._cf1.value(), now_ms)
            return
        elapsed_ms = ticks_diff(now_ms, self._selected_from[1])
        if elapsed_ms < _TURN_MS:
            return
        pulses = self._cf1.value() - self._selected_from[0]
        if self._is_voltage:
            self.values["voltage_mv"] = self._shown(pulses, elapsed_ms, self._mv, 1, self._gains[0])
        else:
            self.values["current_ma"] = self._shown(pulses, elapsed_ms, self._ma, 1, self._gains[1])
        self._turn(not self._is_voltage)

    def _turn(self, is_voltage):
        self._is_voltage = is_voltage
        self._selected_from = None
        self._hardware.switch("sel", is_voltage)

    def _shown(self, pulses, elapsed_ms, per_hz, times, fraction):
        # One pulse in an interval is noise at idle.
        return scaled(pulses * 1000, per_hz[0] * times, per_hz[1] * elapsed_ms, fraction) if pulses > 1 else 0
