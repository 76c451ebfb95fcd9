"""What the drivers of counting chips have in common: quantity, register, staleness, what they tell."""

from node.port import const, ticks_diff, ticks_ms

from meters.counting import ChipCounter, Register, gain

_STALE_MS = const(10000)
_POWER_MAX_W = const(4000)
SAVE_WH = 10
_MARGIN = const(2)  # a load may exceed its rating for a moment; a count twice as fast is none


class ChipMeter:
    """A meter of one register that a chip's counter drives.

    configuration: `quantity` (1, or 2 for the plug of a balcony's panel), `power_max_w` (the rating), `gains`
    (`commonwatt device calibrate` writes them), `save_wh`: a power cut costs at most so much.
    `numerator` / `denominator` is Wh per pulse before calibration.
    """

    def __init__(self, config, hardware, bits, numerator, denominator, ticks=ticks_ms):
        by, of = gain(config, "energy")
        self._nominal = (numerator, denominator)
        self._numerator = numerator * by
        self._ticks = ticks
        self._quantity = config.get("quantity", 1)
        self._power_max_w = config.get("power_max_w", _POWER_MAX_W)
        self._save_wh = config.get("save_wh", SAVE_WH)
        self.register = Register(hardware.store("energy"), denominator * of)
        # Nobody knows a chip's own coefficient beforehand; the driver that reads it sets it (see cse7766).
        per_hour_max = _MARGIN * self._power_max_w * denominator // numerator if numerator else 0
        self.counter = ChipCounter(bits, per_hour_max, self.register.count)
        self._seen_ms = None
        self._counted_ms = ticks()
        self.pulses = 0
        self.values = {}

    def read(self):
        """[(quantity, wh)]; OSError while the chip was not heard for 10 s, or the register cannot be saved."""
        if is_stale(self._seen_ms, self._ticks()):
            self._seen_ms = None
            raise OSError("the chip does not answer")
        return [(self._quantity, self.register.read())]

    def state(self):
        """Counts and last values; calibration compares `pulses` until `uptime_ms`, their time, with a known load."""
        counter = self.counter
        state = {
            "uptime_ms": self._counted_ms,
            "pulses": self.pulses,
            "wh_per_pulse": list(self._nominal),
            "unsaved": self.register.unsaved,
            "register_damaged": self.register.damaged,
            "counter_wraps": counter.wraps,
            "counter_resets": counter.resets,
            "counter_jumps": counter.jumps,
            "counter_suspects": counter.suspects,
        }
        state.update(self.values)
        return state

    def _took(self, count):
        """The chip says that it has counted to `count`."""
        now_ms = self._counted_ms = self._ticks()
        grown = self.counter.growth(count, now_ms)
        self.pulses += grown
        if self.counter.is_settled:
            self.register.add(grown, self._numerator, count)
            self.register.keep(self._save_wh)
            self._seen_ms = now_ms


def is_stale(seen_ms, now_ms):
    """Whether a chip was not heard for 10 s. Who is told so forgets `seen_ms`: ticks come round again in 12 days."""
    return seen_ms is None or not 0 <= ticks_diff(now_ms, seen_ms) <= _STALE_MS


def scaled(raw, multiplier, divisor, fraction):
    """raw * multiplier / divisor, calibrated, as a whole number; for values that people read, never for energy."""
    return raw * multiplier * fraction[0] // (divisor * fraction[1])
