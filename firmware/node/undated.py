"""Readings of a time that is not known yet, with the ticks of their boot: what becomes of them when it is known.

Each is in the journal too, with the number of its start (node/flashlog.py), so that after a power cut the device can
say how many will never be dated: ticks mean nothing then, what is lost is detail, and the register goes on.
"""

from node.port import const, ticks_diff

READINGS_MAX = const(96)  # half an hour at one in 20 seconds; with ticks that wrap after 12 days, far from ambiguous


class Undated:
    """The newest READINGS_MAX readings of this boot, the oldest dropped first; `dropped` counts them."""

    def __init__(self):
        self._readings = []
        self.dropped = 0

    def __len__(self):
        return len(self._readings)

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
