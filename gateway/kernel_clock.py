"""Whether this machine's clock may date what is signed: the kernel says if somebody keeps it, a person may say so.

A Raspberry Pi has no battery: after a power cut its clock stands days back until NTP has answered, and a reading
signed then would be wrong for good. chrony, systemd-timesyncd and ntpd all tell the kernel (adjtimex(2)).
"""

import ctypes
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from commonwatt.clock import Protocolar
from gateway.database import Database

log = logging.getLogger(__name__)

KEEP_S = 60.0
SET_S = 2.0
"""A clock that moved further against the monotonic one was set; a leap second is none of that."""

_KEY = "clock_synchronised"
_TIME_ERROR = 5
"""adjtimex's answer while the clock is not synchronised."""
_TIMEX_BYTES = 512
"""struct timex is 208 bytes on 64-bit Linux and smaller on 32-bit; all zero it asks and changes nothing."""


def kernel_is_synchronised() -> bool:
    """Whether the kernel believes its clock to be right within 16 s; OSError where it cannot be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = int(libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer != _TIME_ERROR


def always() -> bool:
    """For a clock that a person answers for: a demo's, or one set by hand."""
    return True


@dataclass(frozen=True, slots=True)
class Synchronised:
    """The last time that the clock was synchronised: protocol time, and how far the clock was ahead of that."""

    at_s: float
    ahead_s: float

    def encode(self) -> str:
        """As the gateway's database keeps it."""
        return json.dumps([self.at_s, self.ahead_s])

    @classmethod
    def parse(cls, text: str) -> "Synchronised":
        """What `encode` wrote."""
        at_s, ahead_s = json.loads(text)
        return cls(float(at_s), float(ahead_s))


class ClockTrust:
    """Trusts the clock while it is synchronised, and for `holdover_s` after it last was (protocol time).

    The kernel withdraws its word after nine hours without NTP, by its worst-case drift of 500 ppm; a real crystal
    loses some minutes in a month, so a village that is cut off goes on being measured. A clock that is set during the
    holdover is no longer the one that was trusted: the distance to the monotonic clock tells, for the kernel steers
    both alike. `last` is handed to the next process, whose monotonic clock goes on. After a reboot it does not, the
    distance is another, and rightly nothing is trusted: nobody knows how long the machine was off.
    """

    def __init__(
        self,
        *,
        is_synchronised: Callable[[], bool],
        holdover_s: float,
        protocol: Protocolar,
        wall_s: Callable[[], float] = time.time,
        last: Synchronised | None = None,
    ) -> None:
        self._is_synchronised = is_synchronised
        self._holdover_s = holdover_s
        self._protocol = protocol
        self._wall_s = wall_s
        has_gone_on = last is not None and last.at_s <= protocol.monotonic_s()
        self._last = last if has_gone_on else None

    @property
    def last(self) -> Synchronised | None:
        """When the clock was last known to be right, if it has not been set since."""
        return self._last

    def may_sign(self) -> bool:
        """Whether a signature may carry the present time. A kernel that cannot be asked has not synchronised."""
        now_s = self._protocol.monotonic_s()
        ahead_s = self._wall_s() - now_s
        try:
            is_synchronised = self._is_synchronised()
        except OSError:
            is_synchronised = False
        if is_synchronised:
            self._last = Synchronised(now_s, ahead_s)
            return True
        last = self._last
        if last is None:
            return False
        if abs(ahead_s - last.ahead_s) > SET_S:
            log.warning("the clock was set by %+.0f s without being synchronised", ahead_s - last.ahead_s)
            self._last = None
            return False
        return 0 <= now_s - last.at_s < self._holdover_s


class ClockMemory:
    """Keeps in the gateway's database when the clock was last right, so that a restart goes on trusting it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept_at_s = float("-inf")
        self._has_some = False

    def recall(self) -> Synchronised | None:
        """What was kept last."""
        rows = self._database.execute("SELECT value FROM meta WHERE key = ?", (_KEY,))
        self._has_some = bool(rows)
        return Synchronised.parse(rows[0][0]) if rows else None

    def keep(self, last: Synchronised | None) -> None:
        """Store it, once a minute at most: a holdover is days long. None is for good: no restart goes back to it."""
        if last is not None and last.at_s - self._kept_at_s >= KEEP_S:
            self._kept_at_s, self._has_some = last.at_s, True
            with self._database.transaction():
                self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, last.encode()))
        if last is None and self._has_some:
            self._kept_at_s, self._has_some = float("-inf"), False
            with self._database.transaction():
                self._database.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
