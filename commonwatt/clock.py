"""Two clocks that nothing mixes.

Civil time dates readings, intervals and checkpoints; it can be set to another speed by an anchor that every
process of a demo receives, so that a restarted one resumes at the right instant. Protocol time paces resends
and back-off; it is the machine's monotonic clock, and a test's hand in tests.
"""

import re
import time
from dataclasses import dataclass
from typing import Protocol

from commonwatt.errors import UserError


class Civil(Protocol):
    """Civil time, Unix seconds UTC."""

    def now_s(self) -> float:
        """The present civil time."""
        ...


class Protocolar(Protocol):
    """Protocol time: seconds from an arbitrary origin that never run backwards."""

    def monotonic_s(self) -> float:
        """The present protocol time."""
        ...


class Passing(Protocolar, Protocol):
    """Protocol time that whoever waits for a condition lets go by."""

    def wait(self, seconds: float) -> None:
        """Let so much of it go by."""
        ...


_SPELLING = re.compile(r"(?P<civil>\d+(?:\.\d+)?)@(?P<wall>\d+(?:\.\d+)?)x(?P<factor>\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class CivilClock:
    """Civil time as a straight line over wall time: `civil_anchor_s` at `wall_anchor_s`, `factor` times as fast.

    Written "1721001600@1790000000.5x1440" when handed over by argument. The default is wall time itself.
    """

    civil_anchor_s: float = 0.0
    wall_anchor_s: float = 0.0
    factor: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "CivilClock":
        """Read the spelling above; "" is wall time."""
        if not text:
            return cls()
        match = _SPELLING.fullmatch(text)
        if match is None or float(match["factor"]) == 0:
            raise UserError(
                f"not a clock: {text!r}",
                to_do="write CIVIL@WALLxFACTOR, for example 1721001600@1790000000x60",
            )
        return cls(float(match["civil"]), float(match["wall"]), float(match["factor"]))

    def __str__(self) -> str:
        return f"{self.civil_anchor_s:.6f}@{self.wall_anchor_s:.6f}x{self.factor:.6f}"

    def now_s(self) -> float:
        """The present civil time, Unix seconds."""
        return self.at_wall_s(time.time())

    def from_now(self, factor: float) -> "CivilClock":
        """The clock that shows the same now and goes on at another pace."""
        wall_s = time.time()
        return CivilClock(self.at_wall_s(wall_s), wall_s, factor)

    def at_wall_s(self, wall_s: float) -> float:
        """Civil time at an instant of wall time."""
        return self.civil_anchor_s + (wall_s - self.wall_anchor_s) * self.factor

    def wall_s_until(self, civil_s: float) -> float:
        """Wall seconds from now until a civil instant; negative when it has passed."""
        return (civil_s - self.now_s()) / self.factor


class MonotonicClock:
    """The machine's monotonic clock."""

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary origin."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)
