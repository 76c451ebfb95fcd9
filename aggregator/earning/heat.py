"""Renewable heat: what heat meters counted that were admitted as production meters. Pure.

Every watt-hour from the last one that was looked at lies in exactly one span between two known readings; a span of
more than one interval earns at the lowest of their rates, as gaps do elsewhere. What is hard to believe waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from aggregator.earning.earned import Earned
from aggregator.plausibility import spans
from aggregator.settling.interval import AFTERWARDS, ON_TIME, REVIEWED, HeldSpan, Meter
from aggregator.settling.settlement import Registers, Span
from commonwatt.quantities import EXPORT, HEAT
from commonwatt.refusal import Hold
from commonwatt.units import INT64_MAX, INTERVAL_S
from ledger.book import mint

Times = tuple[int, int]
"""Beginning and end, civil seconds."""


def earned(
    meter: Meter, readings: Mapping[int, Registers], *, is_frozen: bool, held: Sequence[Times] = ()
) -> Iterator[Earned]:
    """The spans between a heat meter's readings, by time, that are believed; `proof` is left to the caller.

    `readings`: registers by time, the first one where this meter's account of heat stands. `held`: spans of the meter
    that wait, or waited, for a steward: what touches them is not looked at here.
    """
    for span, reason in _looked_at(meter, readings, is_frozen, held):
        if reason is None and span.growth_wh[HEAT.number]:
            revision = ON_TIME if span.end_s - span.start_s == INTERVAL_S else AFTERWARDS
            yield _earned(meter, span.start_s, span.end_s, revision, span.growth_wh[HEAT.number])


def suspicious(
    meter: Meter, readings: Mapping[int, Registers], *, is_frozen: bool, held: Sequence[Times] = ()
) -> Iterator[HeldSpan]:
    """The other ones, each with its reason and the heat that it counted; `evidence_id` is left to the caller."""
    for span, reason in _looked_at(meter, readings, is_frozen, held):
        if reason is not None:
            energy_wh = max(-INT64_MAX, min(span.growth_wh[HEAT.number], INT64_MAX))
            yield HeldSpan(span.device, span.start_s, span.end_s, reason, energy_wh, 0)


def released(meter: Meter, span: Times, energy_wh: int) -> Earned:
    """What a released span earns; `proof` is left to the caller."""
    return _earned(meter, *span, REVIEWED, energy_wh)


def counts_heat_alone(registers: Registers) -> bool:
    """Whether a production meter with these registers counts heat and no electricity."""
    return HEAT.number in registers and EXPORT.number not in registers


def _looked_at(
    meter: Meter, readings: Mapping[int, Registers], is_frozen: bool, held: Sequence[Times]
) -> Iterator[tuple[Span, Hold | None]]:
    known = [
        (time_s, registers[HEAT.number]) for time_s, registers in sorted(readings.items()) if HEAT.number in registers
    ]
    for (start_s, before_wh), (end_s, after_wh) in pairwise(known):
        if any(first_s < end_s and start_s < last_s for first_s, last_s in held):
            continue
        span = Span(meter.device, start_s, end_s, {HEAT.number: after_wh - before_wh}, end_s, 0)
        yield span, spans.hold(span, rated_power_w=meter.rated_power_w, is_frozen=is_frozen)


def _earned(meter: Meter, start_s: int, end_s: int, revision: int, energy_wh: int) -> Earned:
    place = (meter.device, start_s, end_s, revision)
    return Earned(meter.account, mint.SOURCE_HEAT, *place, energy_wh, proof=b"", grade=meter.grade)
