"""From readings to spans (docs/spec/settlement.md). Pure: values in, values out.

A device's readings are ordered by time; of several at one time, that of the smallest seq counts. Two consecutive
ones form a span, so that every watt-hour lies in exactly one, whatever order the blocks arrived in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from commonwatt.units import INTERVAL_S

Registers = Mapping[int, int]
"""Register in Wh by quantity."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A device's registers at `time_s`, a multiple of 900 s. `received_s`: civil time of receipt of its block.
    `is_replaced`: it is the first in a block that says that the register was replaced."""

    device: bytes
    time_s: int
    seq: int
    registers_wh: Registers
    received_s: int
    evidence_id: int
    is_replaced: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """How far a device is settled: its last settled reading, and the one at which its account began. `first_wh`: what
    the registers of today would have shown then; less than nothing after a roll-over."""

    device: bytes
    time_s: int
    registers_wh: Registers
    first_time_s: int
    first_wh: Registers


@dataclass(frozen=True, slots=True)
class Span:
    """Growth of a device's registers over `[start_s, end_s)`. `received_s`, `evidence_id`: of the later reading.
    `is_replaced`: another register stands at the end than at the start, and the growth says nothing."""

    device: bytes
    start_s: int
    end_s: int
    growth_wh: Registers
    received_s: int
    evidence_id: int
    is_replaced: bool = False

    def is_on_time(self, closing_s: int) -> bool:
        """Whether the span is exactly the interval that closes at its end `closing_s`; else it is a gap or late."""
        return self.end_s == closing_s and self.end_s - self.start_s == INTERVAL_S


def settle(
    settled: Settled | None, readings: Iterable[Reading], *, wraps_at_wh: int | None = None
) -> tuple[Settled | None, list[Span]]:
    """Take a device's known readings into its account; the new state and the spans that they complete.

    Readings at or before the last settled one change nothing. A register that a reading does not carry keeps its
    value; one that appears for the first time begins there. `wraps_at_wh`: where the device's registers begin at 0
    again, if that was declared.
    """
    spans: list[Span] = []
    for reading in sorted(readings, key=lambda reading: (reading.time_s, reading.seq)):
        if settled is None:
            settled = _begin(reading)
        elif reading.time_s > settled.time_s:
            span = _span(settled, reading, wraps_at_wh)
            spans.append(span)
            settled = _advance(settled, reading, span)
    return settled, spans


def grown_wh(before_wh: int, after_wh: int, wraps_at_wh: int | None) -> int:
    """What a register grew; if it is declared where it wraps, one that ran over counts on."""
    has_wrapped = wraps_at_wh is not None and after_wh < before_wh < wraps_at_wh
    return after_wh - before_wh + (wraps_at_wh if has_wrapped and wraps_at_wh else 0)


def _begin(reading: Reading) -> Settled:
    return Settled(reading.device, reading.time_s, reading.registers_wh, reading.time_s, reading.registers_wh)


def _span(settled: Settled, reading: Reading, wraps_at_wh: int | None) -> Span:
    growth_wh = {
        quantity: grown_wh(settled.registers_wh[quantity], register_wh, wraps_at_wh)
        for quantity, register_wh in reading.registers_wh.items()
        if quantity in settled.registers_wh
    }
    place = (reading.device, settled.time_s, reading.time_s)
    return Span(*place, growth_wh, reading.received_s, reading.evidence_id, reading.is_replaced)


def _advance(settled: Settled, reading: Reading, span: Span) -> Settled:
    # A register seen earlier began earlier; one that ran over or was replaced, at what it would have shown then.
    first_wh = {**reading.registers_wh, **settled.first_wh}
    for quantity, growth_wh in span.growth_wh.items():
        counted_wh = 0 if span.is_replaced else growth_wh
        jump_wh = reading.registers_wh[quantity] - settled.registers_wh[quantity] - counted_wh
        first_wh[quantity] += jump_wh
    return Settled(
        device=settled.device,
        time_s=reading.time_s,
        registers_wh={**settled.registers_wh, **reading.registers_wh},
        first_time_s=settled.first_time_s,
        first_wh=first_wh,
    )
