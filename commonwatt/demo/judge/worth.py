"""What claims come to (docs/spec/settlement.md, "Value"): times, grades of trust and caps, claim by claim."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from commonwatt.demo.judge.policies import DECLARED, Policies, Policy, Source
from commonwatt.demo.judge.settle import Claim
from commonwatt.units import INTERVAL_S

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

Spent = dict[tuple[bytes, str, str, str], int]
"""mc by account, source or kind, span and when the span began."""


def worth(claims: Iterable[Claim], policies: Policies) -> list[Claim]:
    """The claims with what they finally earn, window after window."""
    spent: Spent = defaultdict(int)
    valued: list[Claim] = []
    order = sorted(claims, key=lambda claim: (_window(claim, policies), claim.start_s, claim.device, claim.revision))
    for window_start_s, group in groupby(order, key=lambda claim: _window(claim, policies)):
        policy = policies.of_interval(window_start_s + INTERVAL_S)
        for claim in group:
            source = policy.declared[claim.kind] if claim.source == DECLARED else policy.sources[claim.source]
            amount_mc = claim.amount_mc if claim.source == DECLARED else _by_rate(claim, source, policy)
            amount_mc = _under_caps(amount_mc, claim, source, policy, window_start_s, spent)
            valued.append(replace(claim, amount_mc=amount_mc))
    return valued


def _window(claim: Claim, policies: Policies) -> int:
    return policies.of_interval(claim.closing_s).window_start_s(claim.closing_s)


def _by_rate(claim: Claim, source: Source, policy: Policy) -> int:
    starts_s = range(claim.start_s, claim.end_s, INTERVAL_S) if source.table.get("time") else [claim.start_s]
    rate_mc = min(_rate_mc(source, datetime.fromtimestamp(at, policy.zone)) for at in starts_s)
    return claim.energy_wh * rate_mc * source.grade_permille(claim.grade) // 1_000_000


def _rate_mc(source: Source, there: datetime) -> int:
    """The rate at a local time: the first row that fits."""
    clock = f"{there:%H:%M}"
    for row in source.table.get("time", []):
        begins, _, ends = row.get("hours", "00:00-24:00").partition("-")
        is_hour = begins <= clock < ends if begins < ends else clock >= begins or clock < ends
        is_day = _DAYS[there.weekday()] in _named(row.get("weekdays", "mon-sun"), _DAYS)
        if is_hour and is_day and _MONTHS[there.month - 1] in _named(row.get("months", "jan-dec"), _MONTHS):
            return int(row["rate_mc_per_kwh"])
    return source.rate_mc


def _named(text: str, names: tuple[str, ...]) -> list[str]:
    """ "fri-mon, wed" by walking round the names."""
    found = []
    for part in text.split(","):
        first, _, last = (word.strip() for word in part.partition("-"))
        at = names.index(first)
        found.append(names[at])
        while last and names[at] != last:
            at = (at + 1) % len(names)
            found.append(names[at])
    return found


def _under_caps(
    amount_mc: int, claim: Claim, source: Source, policy: Policy, window_start_s: int, spent: Spent
) -> int:
    there = datetime.fromtimestamp(window_start_s, policy.zone)
    what = claim.kind or str(claim.source)
    begins = {"window": str(window_start_s), "day": f"{there:%Y-%m-%d}", "month": f"{there:%Y-%m}"}
    for span, begin in begins.items():
        cap_mc = source.cap_mc(span)
        if cap_mc is not None:
            key = (claim.account, what, span, begin)
            amount_mc = max(0, min(amount_mc, cap_mc - spent[key]))
            spent[key] += amount_mc
    return amount_mc
