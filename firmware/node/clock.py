"""Civil time: what dates readings. It can be ahead of the wall clock and faster, and it can be unknown.

A clock has `synchronised`, now_s() and wall_ms_until(civil_s). node/timesync.py has the one that learns the time.
A device that does not know the time is unsynchronised: it samples, and signs nothing.
"""

from node import port


class CivilClock:
    """Civil time as a straight line over wall time: `civil_anchor_s` at `wall_anchor_s`, `factor` times as fast."""

    synchronised = True

    def __init__(self, wall_anchor_s, civil_anchor_s, factor, wall_ms=port.wall_ms):
        self._wall_anchor_ms = int(wall_anchor_s * 1000)
        self._civil_anchor_ms = int(civil_anchor_s * 1000)
        self._factor = factor
        self._wall_ms = wall_ms

    def now_ms(self):
        """Present civil time in whole milliseconds since 1970, UTC."""
        return self._civil_anchor_ms + int((self._wall_ms() - self._wall_anchor_ms) * self._factor)

    def now_s(self):
        """Present civil time in whole seconds since 1970, UTC."""
        return self.now_ms() // 1000

    def wall_ms_until(self, civil_s):
        """Wall milliseconds to wait until civil time is at least `civil_s`; 0 when it has come."""
        missing_ms = civil_s * 1000 - self.now_ms()
        return 0 if missing_ms <= 0 else int(missing_ms / self._factor) + 1


class UnknownTime:
    """The clock of a device that was not told the time."""

    synchronised = False
