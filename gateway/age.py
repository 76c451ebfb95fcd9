"""How old things in the spool are: civil seconds that passed while the gateway ran, whatever its clock was set to.

A clock that jumps a year ahead must not make a block look a year old, for old blocks are dropped. So ages are counted
by protocol time and kept in the spool; the time a gateway was off does not count. What the civil clock does beside it
is watched and counted here too.
"""

import logging

from commonwatt.clock import Civil, Protocolar
from gateway.database import Database

log = logging.getLogger(__name__)

KEEP_S = 60.0
"""How often the age clock is written down (protocol time): a kill takes no more than this from it."""
JUMP_S = 2.0
"""Seconds of the wall by which the civil clock must leave the protocol clock in one tick to be called set."""


class AgeClock:
    """`tick` writes now and then, so it runs inside a transaction. `civil_per_s`: 1, or the speed of a demo."""

    def __init__(self, *, database: Database, civil: Civil, protocol: Protocolar, civil_per_s: float = 1.0) -> None:
        self.jumps = 0
        self.last_jump_s: int | None = None
        self._database = database
        self._civil, self._protocol, self._civil_per_s = civil, protocol, civil_per_s
        rows = database.execute("SELECT value FROM meta WHERE key = 'age_s'")
        self._age_s = float(rows[0][0]) if rows else 0.0
        self._ticked_s, self._civil_s = protocol.monotonic_s(), civil.now_s()
        self._kept_s = self._ticked_s

    @property
    def now_s(self) -> int:
        """The age clock: civil seconds of running."""
        return int(self._age_s)

    def tick(self) -> None:
        """Go on; notice a civil clock that was set."""
        now_s, civil_s = self._protocol.monotonic_s(), self._civil.now_s()
        passed_s = (now_s - self._ticked_s) * self._civil_per_s
        off_s = civil_s - self._civil_s - passed_s
        if abs(off_s) > JUMP_S * self._civil_per_s:
            self.jumps += 1
            self.last_jump_s = int(off_s)
            log.warning("the clock was set by %+d s", off_s)
        self._age_s += passed_s
        self._ticked_s, self._civil_s = now_s, civil_s
        if now_s - self._kept_s >= KEEP_S:
            self._kept_s = now_s
            self._database.execute("INSERT OR REPLACE INTO meta VALUES ('age_s', ?)", (self._age_s,))
