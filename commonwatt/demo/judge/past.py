"""A device's last eight days, looked at before a window becomes mints (docs/spec/settlement.md, "Before a mint")."""

from collections.abc import Callable, Iterable, Mapping

from commonwatt.demo.judge.evidence import Closing, Reading
from commonwatt.units import INTERVAL_S

STUCK, COPIED, PLUGS_EXCEED = 5, 6, 7  # reasons of a hold
DAY_S = 86_400
PAST_S = 8 * DAY_S


class Past:
    """What was known of a device when a window's last interval closed."""

    def __init__(self, readings: Iterable[Reading], closing: Closing) -> None:
        self._from_s, self._end_s = closing.end_s - PAST_S, closing.end_s
        self._registers: dict[int, Mapping[int, int]] = {}
        for reading in sorted(readings, key=lambda reading: reading.seq):
            if reading.time_s % INTERVAL_S == 0 and reading.evidence_id <= closing.evidence_id_max:
                self._registers.setdefault(reading.time_s, reading.registers_wh)
        self._quantities = sorted({quantity for registers in self._registers.values() for quantity in registers})

    def suspicion(self, start_s: int, end_s: int) -> int | None:
        """The smaller of the reasons for which any interval of the span is suspicious."""
        places = [(q, at) for q in self._quantities for at in range(start_s, end_s, INTERVAL_S)]
        if any(self._is_stuck(quantity, at) for quantity, at in places):
            return STUCK
        if any(self._is_copied(quantity, at, days) for quantity, at in places for days in range(1, 8)):
            return COPIED
        return None

    def growth(self, at: int) -> dict[int, int] | None:
        """By quantity, in the interval that begins then; none outside the eight days, or without both readings."""
        before, after = self._registers.get(at), self._registers.get(at + INTERVAL_S)
        if before is None or after is None or not self._from_s <= at < self._end_s:
            return None
        return {quantity: after[quantity] - before[quantity] for quantity in after if quantity in before}

    def _step(self, quantity: int, at: int) -> int | None:
        """What a register grew in the interval that begins then; none outside the eight days, or if unknown."""
        if not self._from_s <= at < self._end_s:
            return None
        before = self._registers.get(at, {}).get(quantity)
        after = self._registers.get(at + INTERVAL_S, {}).get(quantity)
        return None if before is None or after is None else after - before

    def _is_stuck(self, quantity: int, at: int) -> bool:
        value = self._step(quantity, at)
        if value is None or abs(value) < 20:
            return False
        return len(self._around(at, lambda other: self._step(quantity, other) == value)) >= 8

    def _is_copied(self, quantity: int, at: int, days: int) -> bool:
        def is_alike(other: int) -> bool:
            value = self._step(quantity, other)
            return value is not None and value == self._step(quantity, other - days * DAY_S)

        run = self._around(at, is_alike)
        return len(run) >= 24 and len({self._step(quantity, other) for other in run}) >= 12

    def _around(self, at: int, holds: Callable[[int], bool]) -> list[int]:
        """The longest run of intervals around one, itself included, for all of which something holds."""
        if not holds(at):
            return []
        run = [at]
        while holds(run[-1] + INTERVAL_S):
            run.append(run[-1] + INTERVAL_S)
        while holds(run[0] - INTERVAL_S):
            run.insert(0, run[0] - INTERVAL_S)
        return run


def plugs_exceed(mains: list[Past], producers: list[Past], plugs: list[Past], at: int) -> bool:
    """Whether in the interval that begins then a home's plugs used more than the home."""
    at_grid, made, used_by_plugs = ([past.growth(at) for past in group] for group in (mains, producers, plugs))
    known_plugs = [growth.get(1, 0) for growth in used_by_plugs if growth is not None]
    if not mains or not known_plugs:
        return False
    used = 0
    for growth in at_grid:
        if growth is None:
            return False
        used += growth.get(1, 0) - growth.get(2, 0)
    for growth in made:
        if growth is None:
            return False
        used += growth.get(2, 0)
    return sum(known_plugs) > used + max(15, max(used, 0) * 50 // 1000) + len(known_plugs)
