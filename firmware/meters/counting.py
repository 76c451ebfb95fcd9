"""Energy by counting: what every driver shares whose chip counts pulses.

Whole numbers from the chip to the watt-hour. Wh per pulse is a fraction; what is left of a division is carried, in
units of the denominator, and kept across power cuts. Floats would stop counting: the ESP32's have 24 bits, and
above 16.8 kWh a milliwatt-hour more changes nothing.
"""

from node import cbor
from node.port import ticks_diff

_VERSION = 1
_SLACK_MS = 3000  # frames come in lumps; a chip may count ahead of our clock by this much
GAIN_MIN = (4, 5)
GAIN_MAX = (5, 4)


def gain(config, name):
    """The calibration (numerator, denominator) by which `name` is multiplied; ValueError outside 4/5 to 5/4."""
    numerator, denominator = config.get("gains", {}).get(name, (1, 1))
    if not (
        0 < denominator
        and GAIN_MIN[0] * denominator <= GAIN_MIN[1] * numerator
        and GAIN_MAX[1] * numerator <= GAIN_MAX[0] * denominator
    ):
        raise ValueError("implausible gain: " + name)
    return numerator, denominator


class ChipCounter:
    """Tells how far a chip's counter of `bits` moved, and a wrap from a reset by what time allows.

    Between two looks no more than `per_hour_max` permits can have been counted. Then, for a count that is not simply
    a little more than the last one:
     1. Over the top by what time allows: a wrap, counted in full.
     2. Anything else is a suspect; nothing is counted until the next look. A damaged frame with a good checksum is
        not followed by its like, and the old count goes on.
     3. The suspect goes on, from below the last count: the chip was reset and counts from zero. What it counted since
        is credited if time allows it.
     4. The suspect goes on, from above: nobody can say what happened. Nothing is credited, `jumps` says so.
     5. After our own restart the time is unknown and everything is a suspect at first. More than before: the chip
        went on while we did not. Less: it was reset. Of two explanations the one with less energy holds.
    """

    def __init__(self, bits, per_hour_max, last=None):
        self._range = 1 << bits
        self.per_hour_max = per_hour_max
        self._last = last
        self._last_ms = None
        self._suspect = None
        self._suspect_ms = None
        self.wraps = 0
        self.resets = 0
        self.jumps = 0
        self.suspects = 0

    @property
    def is_settled(self):
        """Whether a count of this boot was believed."""
        return self._last_ms is not None

    def start(self, count, now_ms):
        """Count from here."""
        self._last = count
        self._last_ms = now_ms
        self._suspect = None

    def growth(self, count, now_ms):
        """Pulses to credit, for the chip's `count` at `now_ms` (ticks); never negative."""
        grown = self._step(self._last, self._last_ms, count, now_ms)
        if grown is None:
            if self._step(self._suspect, self._suspect_ms, count, now_ms) is None:
                self.suspects += 1
                self._suspect = count
                self._suspect_ms = now_ms
                return 0
            grown = self._confirmed(count, now_ms)
        elif count < self._last:
            self.wraps += 1
        self.start(count, now_ms)
        return grown

    def _confirmed(self, count, now_ms):
        if self._last is None:
            return 0
        if self._suspect >= self._last:
            if self._last_ms is None:
                return count - self._last
            self.jumps += 1
            return 0
        self.resets += 1
        if self._last_ms is None or count <= self._limit(self._last_ms, now_ms):
            return count
        self.jumps += 1
        return 0

    def _step(self, last, last_ms, count, now_ms):
        """Pulses from `last` to `count`, over the top if need be; None if time does not allow it."""
        if last is None or last_ms is None:
            return None
        grown = (count - last) % self._range
        return grown if grown <= self._limit(last_ms, now_ms) else None

    def _limit(self, last_ms, now_ms):
        return self.per_hour_max * (ticks_diff(now_ms, last_ms) + _SLACK_MS) // 3600000 + 1


class Register:
    """A Wh register that survives power cuts. `store` has load() -> bytes or None, and a durable save(bytes).

    `damaged` counts files of the store that flash harmed: what was kept there is lost, and the register is less.
    `read` gives out nothing that is not saved, so no power cut can bring back less than somebody has seen.
    """

    def __init__(self, store, denominator):
        self._store = store
        self._denominator = denominator
        self.wh = 0
        self.count = None
        self.unsaved = 0
        self.damaged = store.damaged
        self._rest = 0
        self._saved_wh = 0
        self._saved = store.load()
        if self._saved is not None:
            version, self.wh, rest, rest_of, self.count = cbor.decode(self._saved)
            if version != _VERSION:
                raise ValueError("a register of another version")
            self._rest = rest * denominator // rest_of  # the same, unless it was calibrated since
            self._saved_wh = self.wh

    def add(self, pulses, numerator, count=None):
        """Take `pulses` of numerator / denominator Wh each; `count` is the chip's, to go on from after a restart."""
        total = self._rest + pulses * numerator
        self.wh += total // self._denominator
        self._rest = total % self._denominator
        self.count = count

    def keep(self, every_wh):
        """Save between two readings once `every_wh` were added: no more than that is lost with the power."""
        if self.wh - self._saved_wh >= every_wh:
            try:
                self.read()
            except OSError:
                self.unsaved += 1

    def read(self):
        """The register in whole Wh, saved. OSError: it could not be."""
        state = cbor.encode([_VERSION, self.wh, self._rest, self._denominator, self.count])
        if state != self._saved:
            self._store.save(state)
            self._saved = state
            self._saved_wh = self.wh
        return self.wh
