"""FAULTS=1: who is killed when. The schedule is seeded; the kill waits until data are in flight.

At its instant a kill is armed, and it falls on the first message that its target has not yet had answered: a
meter reader dies as its block passes the broker, a gateway as its batch does, the aggregator and a broker as any
batch does.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from commonwatt.demo.programs import Program
from commonwatt.topics import BATCH, BLOCK

KILLS_EACH = 3
RESTART_S = (0.2, 1.2)
"""Wall seconds between a kill and the start that follows."""
QUIET_SHARE = (0.08, 0.88)
"""Kills fall into this part of the replayed span, so that every target is up before it and after it."""


class Target(Enum):
    """Who can be killed, and the channel on which its unanswered message passes."""

    GATEWAY = "gateway", BATCH
    AGGREGATOR = "aggregator", BATCH
    BROKER = "broker", BATCH
    READER = "reader", BLOCK

    @property
    def label(self) -> str:
        """The name in logs and summaries."""
        return self.value[0]

    @property
    def channel(self) -> str:
        """The last part of the topic whose message means: data in flight."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Kill:
    """One planned kill: armed at a civil instant, the program starts again `restart_s` wall seconds later."""

    at_s: float
    target: Target
    program: str
    restart_s: float

    def is_hit(self, in_flight: set[tuple[str, str]]) -> bool:
        """Whether its target has something to lose: readers and gateways what they sent, others what anybody did."""
        is_a_sender = self.target in (Target.READER, Target.GATEWAY)
        return any(
            channel == self.target.channel and (sender == self.program or not is_a_sender)
            for channel, sender in in_flight
        )


def schedule(seed: int, starts_s: int, ends_s: int, programs: Mapping[Target, Sequence[str]]) -> list[Kill]:
    """The kills of a run in order of time: every target `KILLS_EACH` times, evenly spread and shuffled.

    `programs`: who can be hit as what.
    """
    chance = random.Random(seed)  # noqa: S311 (a seeded schedule, not a secret)
    targets = [target for target in Target for _ in range(KILLS_EACH)]
    chance.shuffle(targets)
    first, last = (starts_s + share * (ends_s - starts_s) for share in QUIET_SHARE)
    slot_s = (last - first) / len(targets)
    return [
        Kill(
            at_s=first + slot_s * (index + chance.uniform(0, 0.6)),
            target=target,
            program=chance.choice(programs[target]),
            restart_s=chance.uniform(*RESTART_S),
        )
        for index, target in enumerate(targets)
    ]


@dataclass
class Faults:
    """Carries the schedule out: call `tick` often with the time and the channels on which messages just passed."""

    planned: list[Kill]
    programs: dict[str, Program]
    done: list[Kill] = field(default_factory=list)
    _restarts: list[tuple[float, Program]] = field(default_factory=list)

    def tick(self, civil_s: float, wall_s: float, in_flight: set[tuple[str, str]]) -> None:
        """Kill what is due and in flight, start again what has been down long enough.

        `in_flight`: channel and sender of the messages seen since the last tick.
        """
        for due in [entry for entry in self._restarts if entry[0] <= wall_s]:
            self._restarts.remove(due)
            due[1].start()
        if not self.planned or civil_s < self.planned[0].at_s:
            return
        kill = self.planned[0]
        program = self.programs[kill.program]
        if kill.is_hit(in_flight) and program.is_running:
            program.kill()
            self.planned.pop(0)
            self.done.append(kill)
            self._restarts.append((wall_s + kill.restart_s, program))

    @property
    def is_over(self) -> bool:
        """Whether every planned kill has fallen and everything is up again."""
        return not self.planned and not self._restarts

    def is_down(self, program: Program) -> bool:
        """Whether a program is dead by our hand and will start again."""
        return any(waiting is program for _, waiting in self._restarts)
