"""Faults fall when data are in flight, as often as promised, and the same for the same seed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.demo.faults import KILLS_EACH, Faults, Kill, Target, schedule
from commonwatt.demo.programs import Program, ProgramEndedError, wait_for
from commonwatt.topics import BATCH, BLOCK

HIT = {
    Target.READER: ["kitchen", "roof"],
    Target.GATEWAY: ["mill", "church"],
    Target.AGGREGATOR: ["aggregator"],
    Target.BROKER: ["broker"],
}


@given(st.integers(0, 10_000))
def test_schedule_when_seeded(seed: int) -> None:
    """Every target is killed three times inside the span, in order of time; a seed gives one schedule."""
    kills = schedule(seed, 0, 86_400, HIT)
    assert kills == schedule(seed, 0, 86_400, HIT)
    assert [kill.at_s for kill in kills] == sorted(kill.at_s for kill in kills)
    assert all(0 < kill.at_s < 86_400 for kill in kills)
    for target in Target:
        hit = [kill.program for kill in kills if kill.target is target]
        assert len(hit) == KILLS_EACH
        assert set(hit) <= set(HIT[target])


@pytest.mark.parametrize(
    ("target", "program", "is_hit"),
    [
        (Target.GATEWAY, "mill", True),
        (Target.GATEWAY, "church", False),
        (Target.AGGREGATOR, "aggregator", True),
        (Target.BROKER, "church-broker", True),
        (Target.READER, "roof", False),
    ],
)
def test_kill_when_the_batch_of_one_gateway_passes(target: Target, program: str, is_hit: bool) -> None:
    """Another gateway has nothing to lose then; the aggregator and the brokers have."""
    assert Kill(0, target, program, 1).is_hit({(BATCH, "mill")}) is is_hit


def sleeper(tmp_path: Path, name: str) -> Program:
    program = Program(name, ["/bin/sleep", "60"], tmp_path / f"{name}.log")
    program.start()
    return program


def test_kill_when_nothing_is_in_flight(tmp_path: Path) -> None:
    """A due kill waits for its target's own unanswered message; the program is started again later."""
    kitchen = sleeper(tmp_path, "kitchen")
    kill = Kill(at_s=100, target=Target.READER, program="kitchen", restart_s=1.0)
    faults = Faults([kill], {"kitchen": kitchen})
    faults.tick(99, 0, {(BLOCK, "kitchen")})
    faults.tick(101, 0, {(BATCH, "mill"), (BLOCK, "roof")})
    assert kitchen.is_running
    faults.tick(102, 0, {(BLOCK, "kitchen")})
    assert not kitchen.is_running
    assert faults.is_down(kitchen)
    assert not faults.is_over
    faults.tick(103, 0.9, set())
    assert not kitchen.is_running
    faults.tick(104, 1.0, set())
    assert kitchen.is_running
    assert faults.is_over
    assert (faults.done, kitchen.kills) == ([kill], 1)
    kitchen.stop()


def test_program_when_it_ends_by_itself(tmp_path: Path) -> None:
    """A program that dies unasked is named with the end of its log."""
    program = Program("meter", ["/bin/sh", "-c", "echo no such register; exit 4"], tmp_path / "meter.log")
    program.start()
    wait_for(lambda: not program.is_running, what="the end", timeout_s=10)
    with pytest.raises(ProgramEndedError, match=r"(?s)exit code 4.*no such register"):
        program.check()
