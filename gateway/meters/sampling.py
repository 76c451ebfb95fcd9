"""From readings of a meter to blocks: which readings make one block, and what the block says. Values only."""

from dataclasses import dataclass
from itertools import pairwise

from commonwatt.block import Block, Channel

INCREMENT_WH_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Reading:
    """All registers of a meter at one time: (quantity, Wh) pairs, quantities ascending. `time_s` starts a step."""

    device: bytes
    time_s: int
    registers_wh: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Where the next block of a meter goes on."""

    seq: int
    prev: bytes


def step_of(before_s: float, after_s: float, *, step_s: int, late_s_max: int) -> int | None:
    """The step that a reading belongs to, or None.

    It belongs to the step in which civil time stood both before the request and after the answer, if the answer
    came within `late_s_max` of the step's start.
    """
    start_s = int(before_s // step_s) * step_s
    is_inside = start_s <= after_s < start_s + step_s and after_s >= before_s
    return start_s if is_inside and after_s <= start_s + late_s_max else None


def continues(last: Reading, reading: Reading, *, step_s: int) -> bool:
    """Whether a reading can stand in the same block after `last`.

    A missed step, a register that ran backwards, one that leapt beyond 32 bits or a change of registers ends the
    block: what the registers say is kept as it was read, and the aggregator judges it.
    """
    if reading.time_s != last.time_s + step_s:
        return False
    if [quantity for quantity, _ in reading.registers_wh] != [quantity for quantity, _ in last.registers_wh]:
        return False
    growth_wh = (b - a for (_, a), (_, b) in zip(last.registers_wh, reading.registers_wh, strict=True))
    return all(0 <= growth <= INCREMENT_WH_MAX for growth in growth_wh)


def is_over(last: Reading, now_s: float, *, step_s: int) -> bool:
    """Whether no reading can follow `last` any more, because the step after it has passed (or lies far ahead)."""
    return now_s >= last.time_s + 2 * step_s or now_s < last.time_s - step_s


def build(readings: list[Reading], chain: Chain, *, step_s: int) -> Block:
    """The block of consecutive readings."""
    channels = []
    for index, (quantity, base_wh) in enumerate(readings[0].registers_wh):
        column_wh = [reading.registers_wh[index][1] for reading in readings]
        growth_wh = tuple(b - a for a, b in pairwise(column_wh))
        channels.append(Channel(quantity, base_wh, growth_wh))
    return Block(chain.seq, chain.prev, readings[0].time_s, step_s, 0, tuple(channels))
