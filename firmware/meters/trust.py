"""Whether to believe a register that a meter keeps itself: the wire may lie, the meter may be another one.

A reading is believed at once if it lies between the one before and what the connection can carry in the time since.
Otherwise, in this order:
 1. The first reading ever waits for a second one that follows it. 6 bits of checksum let 1 damaged group in 64 pass.
 2. A jump, up or down, is counted and not believed; the one before stays, and goes stale.
 3. Readings that follow each other from the jump for `CONFIRM_MS` are believed: the meter was replaced, or read again
    after a long silence. A register below the last one is then the truth; `replaced` says so.
"""

from node.port import const, ticks_diff

CONFIRM_MS = const(600000)
_SLACK_MS = const(60000)


class Trusted:
    """The believed value of one register; `power_max_w` is what the connection can carry."""

    def __init__(self, power_max_w):
        self._power_max_w = power_max_w
        self._suspect = None
        self._suspect_ms = None
        self._since_ms = None
        self.wh = None
        self.seen_ms = None
        self._is_fresh = False
        self.jumps = 0
        self.backwards = 0
        self.replaced = 0

    def is_stale(self, now_ms, age_ms_max):
        """Whether nothing was believed for so long. Ask at least every day: ticks come round again in 12 days."""
        if self._is_fresh and not 0 <= ticks_diff(now_ms, self.seen_ms) <= age_ms_max:
            self._is_fresh = False
        return not self._is_fresh

    def take(self, wh, now_ms):
        """Whether `wh`, read at `now_ms`, is believed."""
        if self.wh is not None:
            if self._follows(self.wh, self.seen_ms, wh, now_ms):
                return self._believe(wh, now_ms)
            self.backwards += wh < self.wh
            self.jumps += wh > self.wh
        if self._suspect is None or not self._follows(self._suspect, self._suspect_ms, wh, now_ms):
            self._since_ms = now_ms
            self._suspect, self._suspect_ms = wh, now_ms
            return False
        self._suspect, self._suspect_ms = wh, now_ms
        if self.wh is not None:
            if ticks_diff(now_ms, self._since_ms) < CONFIRM_MS:
                return False
            self.replaced += wh < self.wh
        return self._believe(wh, now_ms)

    def _believe(self, wh, now_ms):
        self.wh, self.seen_ms, self._suspect = wh, now_ms, None
        self._is_fresh = True
        return True

    def _follows(self, last_wh, last_ms, wh, now_ms):
        growth_max = self._power_max_w * (ticks_diff(now_ms, last_ms) + _SLACK_MS) // 3600000 + 1
        return 0 <= wh - last_wh <= growth_max
