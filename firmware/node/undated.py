"""Readings of a time that is not known yet, kept with the ticks of their boot.

They are kept in memory, not in flash: ticks mean nothing after a restart, so a written reading could never be dated,
and would wear the flash for nothing. What a power cut takes here is detail; the register goes on.
"""

from node.port import const, ticks_diff

READINGS_MAX = const(96)  # half an hour at one in 20 seconds; with ticks that wrap after 12 days, far from ambiguous


class Undated:
    """The newest READINGS_MAX readings of this boot, the oldest dropped first; `dropped` counts them."""

    def __init__(self):
        self._readings = []
        self.dropped = 0

    def add(self, ticks, registers):
        """Keep what was read at `ticks`."""
        if len(self._readings) == READINGS_MAX:
            self._readings.pop(0)
            self.dropped += 1
        self._readings.append((ticks, tuple([tuple(register) for register in registers])))

    def dated(self, now_s, now_ticks, step_s, late_s_max):
        """Samples of the slots that began at most `late_s_max` before some reading, ascending; nothing is kept."""
        samples = []
        for ticks, registers in self._readings:
            time_s = now_s - (ticks_diff(now_ticks, ticks) + 999) // 1000
            slot_s = time_s - time_s % step_s
            if time_s - slot_s <= late_s_max and (not samples or slot_s > samples[-1][0]):
                samples.append((slot_s, registers))
        self._readings = []
        return samples
