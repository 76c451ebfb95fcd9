"""A clock that nobody keeps dates nothing that is signed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from commonwatt.clock import CivilClock
from commonwatt.testing import ManualClock
from gateway import app
from gateway.database import Database
from gateway.kernel_clock import (
    SET_S,
    ClockMemory,
    ClockTrust,
    Synchronised,
    kernel_is_synchronised,
)
from gateway.settings import read_settings
from gateway.testing import SigningDevice
from tests.gateway.support import Town


def trust_in(
    is_synchronised: Callable[[], bool],
    clock: ManualClock,
    *,
    last: Synchronised | None = None,
) -> ClockTrust:
    return ClockTrust(
        is_synchronised=is_synchronised, holdover_s=100.0, protocol=clock, wall_s=clock.now_s, last=last
    )


def unreadable() -> bool:
    raise OSError("no adjtimex here")


def test_kernel_when_it_is_asked() -> None:
    """The kernel answers yes or no, whatever the answer is on this machine."""
    assert kernel_is_synchronised() in (True, False)


@pytest.mark.parametrize("answer", [lambda: False, unreadable])
def test_trust_when_the_clock_was_never_synchronised(answer: Callable[[], bool]) -> None:
    """Neither a "no" nor a kernel that cannot be asked lets anything be signed."""
    assert not trust_in(answer, ManualClock()).may_sign()


def test_trust_when_synchronisation_is_lost() -> None:
    """The clock is trusted for the holdover, and not a moment longer; a new "yes" starts it again."""
    clock, answers = ManualClock(), [True]
    trust = trust_in(lambda: answers[-1], clock)
    assert trust.may_sign()
    answers.append(False)
    clock.advance(99.9)
    assert trust.may_sign()
    clock.advance(0.1)
    assert not trust.may_sign()
    answers.append(True)
    assert trust.may_sign()


@pytest.mark.parametrize("jump_s", [-3600.0, -2 * SET_S, 2 * SET_S, 86_400.0])
def test_trust_when_the_clock_is_set_during_the_holdover(jump_s: float) -> None:
    """A clock that somebody set is not the one that was synchronised; it must be synchronised anew."""
    clock, answers = ManualClock(), [True]
    trust = trust_in(lambda: answers[-1], clock)
    assert trust.may_sign()
    answers.append(False)
    clock.advance(10)
    assert trust.may_sign()
    clock.civil_s += jump_s
    assert not trust.may_sign()
    clock.civil_s -= jump_s
    assert not trust.may_sign(), "set back by hand is not synchronised either"
    answers.append(True)
    assert trust.may_sign()


@pytest.mark.parametrize(
    ("passed_s", "moved_s", "expected"),
    [
        pytest.param(50.0, 0.0, True, id="the-holdover-goes-on"),
        pytest.param(100.0, 0.0, False, id="it-ended-while-the-gateway-was-down"),
        pytest.param(50.0, 3600.0, False, id="the-clock-was-set-meanwhile"),
    ],
)
def test_trust_when_the_gateway_restarts(tmp_path: Path, passed_s: float, moved_s: float, expected: bool) -> None:
    """A restart trusts for what is left of the holdover, if nobody has set the clock."""
    clock = ManualClock()
    remember(tmp_path, clock)
    clock.advance(passed_s)
    clock.civil_s += moved_s
    assert recalled(tmp_path, clock).may_sign() is expected


@pytest.mark.parametrize(
    ("off_s", "up_s"),
    [
        pytest.param(60.0, 40.0, id="a-clock-of-its-own-went-on"),
        pytest.param(86_400.0, 60.0, id="it-was-off-for-a-day"),
        pytest.param(0.0, 1.0, id="the-clock-stood-still"),
        pytest.param(-50.0, 40.0, id="the-clock-stands-where-it-stood-at-the-boot-before"),
    ],
)
def test_trust_when_the_machine_restarts(tmp_path: Path, off_s: float, up_s: float) -> None:
    """After a reboot nobody knows how long the machine was off, whatever its clock shows now."""
    clock = ManualClock(protocol_s=50.0)
    remember(tmp_path, clock)
    again = ManualClock(civil_s=clock.civil_s + off_s + up_s, protocol_s=up_s)
    assert not recalled(tmp_path, again).may_sign()


def test_memory_when_trust_is_lost(tmp_path: Path) -> None:
    """What is no longer trusted is forgotten on the disk as well: no later restart goes back to it."""
    clock = ManualClock(protocol_s=50.0)
    remember(tmp_path, clock)
    with Database(tmp_path / "spool.db") as database:
        memory = ClockMemory(database)
        again = ManualClock(civil_s=clock.civil_s - 50.0 + 1.0, protocol_s=1.0)
        memory.recall()
        memory.keep(trust_in(lambda: False, again, last=memory.recall()).last)
        assert memory.recall() is None


def remember(directory: Path, clock: ManualClock) -> None:
    with Database(directory / "spool.db") as database:
        trust = trust_in(lambda: True, clock)
        assert trust.may_sign()
        ClockMemory(database).keep(trust.last)


def recalled(directory: Path, clock: ManualClock) -> ClockTrust:
    with Database(directory / "spool.db") as database:
        return trust_in(lambda: False, clock, last=ClockMemory(database).recall())


def test_memory_when_nothing_was_kept(tmp_path: Path) -> None:
    """A first start trusts nothing until the clock is synchronised."""
    with Database(tmp_path / "spool.db") as database:
        memory = ClockMemory(database)
        assert memory.recall() is None
        memory.keep(None)
        assert memory.recall() is None


@pytest.mark.parametrize("is_told", [True, False])
def test_gateway_when_the_kernel_is_not_asked_or_says_no(tmp_path: Path, is_told: bool) -> None:
    """A block waits in the spool unbatched while the clock is not trusted; a told clock needs no kernel."""
    device = SigningDevice()
    town = Town(tmp_path, [device], sign_unsynchronised=False, extra="clock_holdover_s = 0").found()
    settings = read_settings(town.settings_file)
    trusted = is_told or kernel_is_synchronised()
    clock = ManualClock()
    with app.opened(settings, civil=CivilClock(), protocol=clock, clock_is_told=is_told) as (gateway, reporter):
        gateway.uplink.receive(town.registry_message(device.record()))
        gateway.local.inbox.put(device.message(device.next_block()))  # type: ignore[attr-defined]
        gateway.tick()
        clock.advance(10.0)
        gateway.tick()
        assert (gateway.spool.count, gateway.uplink.in_flight) == (1, int(trusted))
        assert (reporter.full()["clock"] == "trusted") == trusted
