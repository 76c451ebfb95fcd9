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
    """A device's registers at `time_s`, a multiple of 900 s. `received_s`: civil time of receipt of its block."""

    device: bytes
    time_s: int
    seq: int
    registers_wh: Registers
    received_s: int
    evidence_id: int


@dataclass(frozen=True, slots=True)
class Settled:
    """How far a device is settled: its last settled reading, and the one at which its account began."""

    device: bytes
    time_s: int
    registers_wh: Registers
    first_time_s: int
    first_wh: Registers


@dataclass(frozen=True, slots=True)
class Span:
    """Growth of a device's registers over `[start_s, end_s)`. `received_s`, `evidence_id`: of the later reading."""

    device: bytes
    start_s: int
    end_s: int
    growth_wh: Registers
    received_s: int
    evidence_id: int

    def is_on_time(self, closing_s: int) -> bool:
        """Whether the span is exactly the interval that closes at its end `closing_s`; else it is a gap or late."""
        return self.end_s == closing_s and self.end_s - self.start_s == INTERVAL_S


def settle(settled: Settled | None, readings: Iterable[Reading]) -> tuple[Settled | None, list[Span]]:
    """Take a device's known readings into its account; the new state and the spans that they complete.

    Readings at or before the last settled one change nothing. A register that a reading does not carry keeps its
    value; one that appears for the first time begins there.
    """
    spans: list[Span] = []
    for reading in sorted(readings, key=lambda reading: (reading.time_s, reading.seq)):
        if settled is None:
            settled = _begin(reading)
        elif reading.time_s > settled.time_s:
            spans.append(_span(settled, reading))
            settled = _advance(settled, reading)
    return settled, spans


def _begin(reading: Reading) -> Settled:
    return Settled(reading.device, reading.time_s, reading.registers_wh, reading.time_s, reading.registers_wh)


def _span(settled: Settled, reading: Reading) -> Span:
    growth_wh = {
        quantity: register_wh - settled.registers_wh[quantity]
        for quantity, register_wh in reading.registers_wh.items()
        if quantity in settled.registers_wh
    }
    return Span(reading.device, settled.time_s, reading.time_s, growth_wh, reading.received_s, reading.evidence_id)


def _advance(settled: Settled, reading: Reading) -> Settled:
    return Settled(
        device=settled.device,
        time_s=reading.time_s,
        registers_wh={**settled.registers_wh, **reading.registers_wh},
        first_time_s=settled.first_time_s,
        first_wh={**reading.registers_wh, **settled.first_wh},  # a register seen earlier began earlier
    )
