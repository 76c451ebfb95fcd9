"""Whether the clock may be believed when it says that an interval's grace is over.

Closing early cannot be undone: whoever's blocks come afterwards is late. So a clock that leaps ahead of the machine's
monotonic clock, or that stands more than a day after everything we know of when we start, is in doubt. Nothing is
closed until it comes back, or until more than half of the gateways heard meanwhile name its time as theirs in a fresh
batch. Receipts go on: evidence needs no date of ours. A clock set back closes nothing early, and is only told.
"""

import logging
from enum import Enum

from commonwatt.clock import Civil, Protocolar

log = logging.getLogger(__name__)

LEAP_S = 300.0
"""Civil seconds between our clock and where it should be, or a gateway's, that are no leap: NTP steps by less."""
AWAY_S = 86_400.0
"""A start so long after the last thing we know needs a gateway's word for the time."""


class Doubt(Enum):
    """Why the clock is not believed."""

    LEAPT = "leapt"
    LONG_AWAY = "long-away"


class ClockWatch:
    """`civil_per_s`: civil seconds in one of the protocol's. `known_s`: the newest civil time that is on record."""

    def __init__(self, *, civil: Civil, protocol: Protocolar, civil_per_s: float = 1.0, known_s: int = 0) -> None:
        self.leaps = 0
        self.last_leap_s = 0
        self._civil, self._protocol, self._civil_per_s = civil, protocol, civil_per_s
        self._believed_s = self._offset_s()
        self._last_s = self._believed_s
        self._heard: dict[bytes, bool] = {}
        self.doubt: Doubt | None = None
        if known_s and civil.now_s() > known_s + AWAY_S * max(1.0, civil_per_s):
            self.doubt = Doubt.LONG_AWAY
            log.warning("the clock is more than a day after all that is on record: a gateway must name the same time")

    def tick(self) -> bool:
        """Look at both clocks; whether intervals may be closed."""
        offset_s = self._offset_s()
        if abs(offset_s - self._last_s) > self._tolerance_s:
            self.leaps += 1
            self.last_leap_s = int(offset_s - self._last_s)
            log.warning("the clock was set by %+d s", self.last_leap_s)
        self._last_s = offset_s
        ahead_s = offset_s - self._believed_s
        if ahead_s > self._tolerance_s and self.doubt is None:
            self.doubt, self._heard = Doubt.LEAPT, {}
        elif self.doubt is Doubt.LEAPT and ahead_s <= self._tolerance_s:
            self.doubt = None
        elif self.doubt is None and ahead_s > 0:
            self._believed_s = offset_s  # a slow drift is followed; a clock set back is not forgotten
        return self.doubt is None

    def hear(self, gateway: bytes, sent_s: int) -> None:
        """Take a gateway's word for the time, from a batch whose signature was checked."""
        if self.doubt is None:
            return
        self._heard[gateway] = abs(sent_s - self._civil.now_s()) <= self._tolerance_s
        if 2 * sum(self._heard.values()) > len(self._heard):
            log.warning("gateways name the same time: intervals are closed again")
            self.doubt = None
            self._believed_s = self._offset_s()

    @property
    def _tolerance_s(self) -> float:
        return LEAP_S * max(1.0, self._civil_per_s / 60)

    def _offset_s(self) -> float:
        return self._civil.now_s() - self._protocol.monotonic_s() * self._civil_per_s
