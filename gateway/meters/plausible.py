"""Whether a reading can follow another: a meter carries no more than its rating, and its registers only grow.

A damaged answer, a wrong word order, a reset or a roll-over all show as a register that cannot be. Such a reading is
doubted, not written down. Readings that follow each other for a while show that the meter goes on from elsewhere:
then they count from there, and what lies between is nobody's energy.
"""

from dataclasses import dataclass
from enum import Enum

from gateway.meters.sampling import Reading

CONFIRM_S = 600
"""So long must doubted readings follow each other before they are believed."""


class Doubt(Enum):
    """Why a reading cannot follow the last; the values are labels of `silence.meaning_of`."""

    JUMP = "jump"
    BACKWARDS = "backwards"
    ROLL_OVER = "roll-over"
    OTHER_REGISTERS = "other-registers"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a meter can carry, the step of its registers, and where they begin again at 0 (None: they do not)."""

    power_max_w: int
    resolution_wh: int
    rollover_wh: int | None

    def growth_wh_max(self, seconds: int) -> int:
        """What a register grows at most in so many seconds, one of its steps included."""
        return -(-self.power_max_w * seconds // 3600) + self.resolution_wh


def doubt(last: Reading, reading: Reading, limits: Limits, *, step_s: int) -> Doubt | None:
    """Why `reading` cannot follow `last`, or None.

    A reading is taken somewhere in its step, so the two lie up to a step further apart than their dates. A clock
    that was set makes the time between them unknown: its length counts, in whichever direction.
    """
    if [quantity for quantity, _ in reading.registers_wh] != [quantity for quantity, _ in last.registers_wh]:
        return Doubt.OTHER_REGISTERS
    growth_wh_max = limits.growth_wh_max(abs(reading.time_s - last.time_s) + step_s)
    for (_, before_wh), (_, after_wh) in zip(last.registers_wh, reading.registers_wh, strict=True):
        if after_wh < before_wh:
            rollover_wh = limits.rollover_wh
            has_rolled = rollover_wh is not None and after_wh + rollover_wh - before_wh <= growth_wh_max
            return Doubt.ROLL_OVER if has_rolled else Doubt.BACKWARDS
        if after_wh - before_wh > growth_wh_max:
            return Doubt.JUMP
    return None


@dataclass(slots=True)
class Suspicion:
    """The doubted readings of a meter so far: the last one, and since when they have followed each other."""

    reading: Reading
    since_s: int

    def is_confirmed(self) -> bool:
        """Whether they have followed each other long enough."""
        return abs(self.reading.time_s - self.since_s) >= CONFIRM_S


def suspect(suspicion: Suspicion | None, reading: Reading, limits: Limits, *, step_s: int) -> Suspicion:
    """The suspicion after one more reading that cannot follow the believed ones."""
    if suspicion is None or doubt(suspicion.reading, reading, limits, step_s=step_s) is not None:
        return Suspicion(reading, reading.time_s)
    return Suspicion(reading, suspicion.since_s)
