"""Renewable heat: what heat meters counted that were admitted as production meters. Pure.

Every watt-hour from the last one that was looked at lies in exactly one span between two known readings; a span of
more than one interval earns at the lowest of their rates, as gaps do elsewhere.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from aggregator.earning.earned import Earned
from aggregator.plausibility import spans
from aggregator.settling.interval import AFTERWARDS, ON_TIME, Meter
from aggregator.settling.settlement import Registers, Span
from commonwatt.quantities import HEAT
from commonwatt.units import INTERVAL_S
from ledger.book import mint


def earned(meter: Meter, readings: Mapping[int, Registers], *, is_frozen: bool) -> Iterator[Earned]:
    """The spans between a heat meter's readings, by time, that are believed; `proof` is left to the caller.

    `readings`: registers by time, the first one where this meter's account of heat stands.
    """
    known = [
        (time_s, registers[HEAT.number]) for time_s, registers in sorted(readings.items()) if HEAT.number in registers
    ]
    for (start_s, before_wh), (end_s, after_wh) in pairwise(known):
        growth_wh = after_wh - before_wh
        span = Span(meter.device, start_s, end_s, {HEAT.number: growth_wh}, end_s, 0)
        if growth_wh == 0 or spans.hold(span, rated_power_w=meter.rated_power_w, is_frozen=is_frozen) is not None:
            continue
        revision = ON_TIME if end_s - start_s == INTERVAL_S else AFTERWARDS
        place = (meter.device, start_s, end_s, revision)
        yield Earned(meter.account, mint.SOURCE_HEAT, *place, growth_wh, proof=b"", grade=meter.grade)
