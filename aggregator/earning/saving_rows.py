"""Reads what savings ask of the past: the local days of homes that take part and of those that do not.

A home takes part from a local day on. Its periods follow each other from there; at the end of each it is measured
against homes that never took part, and after some of them all are measured again as one: the true-up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from aggregator.earning.local_time import DAY_S, Integers, day_of, days_from, start_of
from aggregator.earning.shifting_rows import Growth, Site
from aggregator.policy.rules import Rules
from aggregator.policy.terms import Savings
from aggregator.savings.measure import Saving, measure, released_wh
from aggregator.settling.history import UNKNOWN
from aggregator.statements.statement import Topic
from aggregator.statements.values import Stated
from commonwatt.units import INTERVAL_S

JOIN = "join"
LEAVE = "leave"

Days = dict[bytes, list[int | None]]
Outdoor = Callable[[Sequence[date]], Sequence[int | None]]
"""Mean temperatures of local days in tenths of a degree; None: not known."""


@dataclass(frozen=True, slots=True)
class Part:
    """A site that takes part from a civil time on, a local midnight, until another (None: still)."""

    site: bytes
    from_s: int
    until_s: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """What one site is told of a period, or of the true-up (`revision` 1) over several. `released_wh`: of the
    hold-back."""

    site: bytes
    start_s: int
    end_s: int
    revision: int
    saving: Saving
    released_wh: int = 0


def parts(stated: Iterable[Stated], holders: Mapping[bytes, bytes]) -> tuple[Part, ...]:
    """Who takes part, by the statements of the steward or of who holds the site (`holders`: account by site). Joining
    again after leaving is another part; the log's order counts."""
    found: list[Part] = []
    at: dict[bytes, int] = {}
    for item in stated:
        said = item.statement
        is_right = item.signer.role == "steward" or item.signer.id == holders.get(said.subject)
        # Whoever could join for days that are over would choose those that went well.
        if said.topic is not Topic.PART or not is_right or said.start_s < item.time_s - DAY_S:
            continue
        if said.what == JOIN and said.subject not in at:
            at[said.subject] = len(found)
            found.append(Part(said.subject, said.start_s, None))
        elif said.what == LEAVE and said.subject in at:
            place = at.pop(said.subject)
            found[place] = Part(said.subject, found[place].from_s, said.start_s)
    return tuple(found)


def due(
    taking: Sequence[Part],
    sites: Sequence[Site],
    rules: Rules,
    growth: Growth,
    span_s: tuple[int, int],
    earlier: Callable[[bytes, int, int], tuple[int, int]],
    outdoor: Outdoor,
) -> Iterator[Told]:
    """What is told of every period whose answer falls due in `span_s` (after, until), and of every true-up.

    `earlier(site, start_s, end_s)`: Wh that were credited and held for the periods of a true-up. `outdoor`: asked if
    the rules name a station.
    """
    terms = rules.savings
    if terms is None:
        return
    ever = frozenset(part.site for part in taking)
    by_id = {site.site: site for site in sites}
    group = [site for site in sites if site.site not in ever]
    for first in sorted({part.from_s for part in taking}):
        cohort = [part for part in taking if part.from_s == first and part.site in by_id]
        for number, start, end in _periods(first, rules, terms, span_s):
            homes = [part for part in cohort if part.until_s is None or part.until_s >= start_of(end, rules.zone)]
            if not homes:
                continue
            chosen = [by_id[part.site] for part in homes]
            seen = _Seen(first, rules, terms, growth, outdoor)
            yield from _period((start, end), chosen, group, seen)
            if number % terms.true_up_periods == 0:
                whole = (start - timedelta(days=terms.period_days * (terms.true_up_periods - 1)), end)
                yield from _true_up(whole, chosen, group, seen, earlier)


def _periods(first_s: int, rules: Rules, terms: Savings, span_s: tuple[int, int]) -> Iterator[tuple[int, date, date]]:
    """Number from 1, first day and day after the last of each period whose answer falls due in the span."""
    joined = day_of(first_s, rules.zone) + timedelta(days=terms.wait_days)
    gone = (day_of(span_s[0], rules.zone) - joined).days // terms.period_days
    for number in range(max(1, gone), max(1, gone) + 3 + (span_s[1] - span_s[0]) // (DAY_S * terms.period_days)):
        due_on = joined + timedelta(days=terms.period_days * number)
        if span_s[0] < start_of(due_on, rules.zone) <= span_s[1]:
            end = due_on - timedelta(days=terms.wait_days)
            yield number, end - timedelta(days=terms.period_days), end


@dataclass(frozen=True, slots=True)
class _Seen:
    """The past as it is looked at for those who joined at a civil time."""

    first_s: int
    rules: Rules
    terms: Savings
    growth: Growth
    outdoor: Outdoor


def _period(span: tuple[date, date], chosen: Sequence[Site], group: Sequence[Site], seen: _Seen) -> Iterator[Told]:
    savings = _savings(span, chosen, group, seen)
    start_s, end_s = (start_of(day, seen.rules.zone) for day in span)
    for site in chosen:
        yield Told(site.site, start_s, end_s, 0, savings[site.site])


def _true_up(
    span: tuple[date, date],
    chosen: Sequence[Site],
    group: Sequence[Site],
    seen: _Seen,
    earlier: Callable[[bytes, int, int], tuple[int, int]],
) -> Iterator[Told]:
    savings = _savings(span, chosen, group, seen)
    start_s, end_s = (start_of(day, seen.rules.zone) for day in span)
    for site in chosen:
        paid_wh, held_wh = earlier(site.site, start_s, end_s)
        if held_wh:
            released = released_wh(paid_wh, held_wh, savings[site.site])
            yield Told(site.site, start_s, end_s, 1, savings[site.site], released)


def _savings(
    span: tuple[date, date], chosen: Sequence[Site], group: Sequence[Site], seen: _Seen
) -> dict[bytes, Saving]:
    """Measured over the baseline before taking part and the days of the span."""
    rules, terms = seen.rules, seen.terms
    baseline = days_from(day_of(seen.first_s, rules.zone) - timedelta(days=terms.baseline_days), terms.baseline_days)
    reported = days_from(span[0], (span[1] - span[0]).days)
    everybody = [*chosen, *group]
    days = _days(everybody, baseline, rules, seen.growth)
    for site, values in _days(everybody, reported, rules, seen.growth).items():
        days[site] += values
    # Without a thermometer the weather is in the group's days alone.
    outdoor_dc = seen.outdoor([*baseline, *reported]) if terms.station else [0] * (len(baseline) + len(reported))
    return measure(days, frozenset(site.site for site in chosen), outdoor_dc, len(baseline), terms.measure)


def _days(sites: Sequence[Site], days: Sequence[date], rules: Rules, growth: Growth) -> Days:
    """Import of each site on consecutive local days; None where a day was not measured whole."""
    devices = [device for site in sites for device in site.mains]
    edges_s = [start_of(day, rules.zone) for day in (*days, days[-1] + timedelta(days=1))]
    rows = growth(devices, edges_s[0], edges_s[-1])
    firsts = np.array([(edge_s - edges_s[0]) // INTERVAL_S for edge_s in edges_s[:-1]])
    is_unknown = np.logical_or.reduceat(rows == UNKNOWN, firsts, axis=1)
    sums: Integers = np.add.reduceat(np.where(rows == UNKNOWN, 0, rows), firsts, axis=1)
    found: Days = {}
    place = 0
    for site in sites:
        own = slice(place, place + len(site.mains))
        place += len(site.mains)
        whole = np.logical_not(is_unknown[own].any(axis=0))
        total = sums[own].sum(axis=0)
        found[site.site] = [wh if ok else None for wh, ok in zip(total.tolist(), list(whole), strict=True)]
    return found
