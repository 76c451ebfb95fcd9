"""Which policy counts when (docs/spec/settlement.md, "Policy"). Pure.

A policy never divides a window: it begins where windows of the one before it end and its own begin.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aggregator.policy.rules import Policy


@dataclass(frozen=True, slots=True)
class Enacted:
    """A policy as the log has it: its entry's place and civil time."""

    place: int
    time_s: int
    policy: Policy


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy and the civil time from which it counts, a boundary of windows."""

    policy: Policy
    from_s: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Policies by the time from which they count; the first counts from the beginning."""

    rows: tuple[InForce, ...]

    @classmethod
    def of(cls, enacted: Iterable[Enacted], closed_s: Callable[[int], int]) -> "Schedule":
        """Policies in the order of the log. `closed_s(place)`: end of the last interval that closed before the entry
        at `place` was known, 0 if there is none."""
        rows: list[InForce] = []
        for item in enacted:
            from_s = _from_s(rows[-1], item, closed_s(item.place)) if rows else 0
            rows.append(InForce(item.policy, from_s))
        return cls(tuple(rows))

    def at(self, start_s: int) -> Policy:
        """The policy of the window in which an interval that begins at `start_s` lies."""
        return next(row.policy for row in reversed(self.rows) if row.from_s <= start_s)


def _from_s(before: InForce, item: Enacted, closed_s: int) -> int:
    """The first boundary that windows of both policies share, not before the entry, nor the policy before it, nor
    what was closed already."""
    step_s = math.lcm(before.policy.rules.window_s, item.policy.rules.window_s)
    return -(-max(item.time_s, before.from_s, closed_s) // step_s) * step_s
