"""Civil time is a line over wall time that a restarted process finds again."""

import time

import pytest

from commonwatt.clock import CivilClock
from commonwatt.errors import UserError
from commonwatt.testing import ManualClock


def test_civil_clock_when_handed_over_by_argument() -> None:
    """The spelling carries the clock: the restarted process reads the same instant."""
    clock = CivilClock(1_721_001_600, 1_790_000_000.5, 1440)
    again = CivilClock.parse(str(clock))
    assert again == clock
    assert again.at_wall_s(1_790_000_060.5) == 1_721_001_600 + 86_400


def test_civil_clock_when_nothing_is_said() -> None:
    """The default is wall time itself."""
    assert CivilClock.parse("").at_wall_s(1_790_000_000.25) == 1_790_000_000.25


@pytest.mark.parametrize("text", ["soon", "1@2", "1@2x0", "1@2x-3", "-1@2x3"])
def test_civil_clock_when_misspelt(text: str) -> None:
    """A clock that cannot be read is named, with an example of one that can."""
    with pytest.raises(UserError, match="CIVIL@WALLxFACTOR"):
        CivilClock.parse(text)


def test_civil_clock_when_its_pace_changes() -> None:
    """It goes on from where it stood."""
    fast = CivilClock(1_721_606_400, time.time() - 60, 1440)
    slow = fast.from_now(1)
    assert slow.factor == 1
    assert slow.at_wall_s(slow.wall_anchor_s) == fast.at_wall_s(slow.wall_anchor_s)
    assert slow.at_wall_s(slow.wall_anchor_s + 10) == slow.civil_anchor_s + 10


def test_manual_clock_when_advanced() -> None:
    """Both clocks go on together, and only when told."""
    clock = ManualClock()
    civil_s, protocol_s = clock.now_s(), clock.monotonic_s()
    clock.advance(2.5)
    assert (clock.now_s() - civil_s, clock.monotonic_s() - protocol_s) == (2.5, 2.5)
    clock.wait(1)
    assert (clock.now_s() - civil_s, clock.monotonic_s() - protocol_s) == (3.5, 3.5)
