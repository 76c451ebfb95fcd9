"""What claims are worth beyond energy times rate: times, grades of trust, caps (docs/spec/settlement.md, "Value").

Pure, whole numbers, columns: one row a claim, so that ninety days of a town are valued in seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from aggregator.earning.local_time import DAY_S, QUARTER_S, Integers, local_times, offsets_s
from aggregator.policy.rules import Rules
from aggregator.policy.terms import PERMILLE, QUARTERS, Capped, Source
from commonwatt.units import INTERVAL_S, WH_PER_KWH
from ledger.book.kinds import Grade

ENERGY_WH_MAX = 9 * 10**12
"""Times a million it still has 63 bits."""


@dataclass(frozen=True, slots=True)
class ClaimColumns:
    """Claims, one row each, ordered by time, device and revision. `accounts` are numbers that the caller gives;
    `closings_s`: the end of the interval that a claim was settled with, which tells its window."""

    accounts: Integers
    sources: Integers
    starts_s: Integers
    ends_s: Integers
    energies_wh: Integers
    grades: Integers
    closings_s: Integers

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int, int, int, int, int]]) -> "ClaimColumns":
        """From rows with the fields in their order."""
        columns = np.array(list(rows), dtype=np.int64).reshape(-1, 7).T
        return cls(*columns)


class CapKey(NamedTuple):
    """Whose earnings by what ("1", "declared.time") in which span ("day", "month") that begins at a local time.

    `begins_s`: local midnight as if the local clock were UTC's.
    """

    account: int
    what: str
    span: str
    begins_s: int


class Worth(NamedTuple):
    """Milli-credits of each claim before the association's share, and what the caps have taken in by then."""

    amounts_mc: Integers
    used_mc: dict[CapKey, int]


def worth(claims: ClaimColumns, rules: Rules, used_mc: Mapping[CapKey, int] | None = None) -> Worth:
    """Value claims. `used_mc`: what was earned before under the same caps."""
    used = dict(used_mc or {})
    amounts_mc = np.zeros(len(claims.sources), dtype=np.int64)
    windows_s = windows_of(claims.closings_s, rules)
    for number, source in rules.sources.items():
        rows = np.flatnonzero(claims.sources == number)
        if len(rows) == 0:
            continue
        rates = _rates(source, rules, claims.starts_s[rows], claims.ends_s[rows])
        trust = _trust(source)[claims.grades[rows]]
        amounts = _times(claims.energies_wh[rows], rates * trust) // (WH_PER_KWH * PERMILLE)
        amounts_mc[rows] = capped(
            *(amounts.astype(np.int64), claims.accounts[rows], windows_s[rows], source, rules, used), what=str(number)
        )
    return Worth(amounts_mc, used)


def windows_of(closings_s: Integers, rules: Rules) -> Integers:
    """When the windows of claims begin: an interval belongs to the one that contains its beginning."""
    return (closings_s - INTERVAL_S) // rules.window_s * rules.window_s


def capped(
    amounts_mc: Integers,
    accounts: Integers,
    windows_s: Integers,
    terms: Capped,
    rules: Rules,
    used_mc: dict[CapKey, int],
    *,
    what: str,
) -> Integers:
    """What the caps leave of each amount, in order; adds to `used_mc` what the days and months have taken in."""
    local_s = windows_s + offsets_s(windows_s, rules.zone) if terms.caps else windows_s
    for span, cap_mc in terms.caps:
        begins_s = _begin(span, local_s, windows_s)
        keys = (accounts, begins_s, windows_s)
        amounts_mc = _limit(amounts_mc, keys, cap_mc, used_mc, (what, span))
    return amounts_mc


def _begin(span: str, local_s: Integers, windows_s: Integers) -> Integers:
    if span == "window":
        return windows_s
    days = local_s // DAY_S
    if span == "day":
        return days * DAY_S
    months: Integers = days.astype("M8[D]").astype("M8[M]").astype("M8[D]").astype(np.int64)
    return months * DAY_S


def _limit(
    amounts_mc: Integers,
    keys: tuple[Integers, Integers, Integers],
    cap_mc: int,
    used_mc: dict[CapKey, int],
    name: tuple[str, str],
) -> Integers:
    """Of each account's amounts in each span, window by window and then in order, what fits under the cap; what is
    above it is lost."""
    if len(amounts_mc) == 0:
        return amounts_mc
    accounts, begins_s, windows_s = keys
    order = np.lexsort((np.arange(len(accounts)), windows_s, begins_s, accounts))
    groups = np.stack([accounts[order], begins_s[order]], axis=1)
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = (groups[1:] != groups[:-1]).any(axis=1)
    firsts = np.flatnonzero(is_first)
    spans = [CapKey(account, *name, begin) for account, begin in groups[firsts].tolist()]
    before_mc = np.array([used_mc.get(key, 0) for key in spans], dtype=np.int64)
    sums = np.cumsum(amounts_mc[order])
    earlier = np.concatenate([[0], sums[:-1]])
    group = np.cumsum(is_first) - 1
    after = sums - earlier[firsts][group] + before_mc[group]
    granted = np.minimum(after, cap_mc) - np.minimum(after - amounts_mc[order], cap_mc)
    if name[1] != "window":
        for key, before, more in zip(
            spans, before_mc.tolist(), np.add.reduceat(granted, firsts).tolist(), strict=True
        ):
            used_mc[key] = before + more
    limited = np.empty_like(amounts_mc)
    limited[order] = granted
    return limited


def _rates(source: Source, rules: Rules, starts_s: Integers, ends_s: Integers) -> Integers:
    """Milli-credits a kWh of each claim: the lowest of the intervals that it spans."""
    if not source.time:
        return np.full(len(starts_s), source.rate_mc_per_kwh, dtype=np.int64)
    table = np.array(
        [[[source.rate_at(m, d, q) for q in range(QUARTERS)] for d in range(7)] for m in range(12)], dtype=np.int64
    )
    counts = np.maximum((ends_s - starts_s) // INTERVAL_S, 1)
    begins = np.cumsum(counts) - counts
    within = np.arange(int(counts.sum())) - np.repeat(begins, counts)
    local = local_times(np.repeat(starts_s, counts) + within * QUARTER_S, rules.zone)
    lowest: Integers = np.minimum.reduceat(table[local.month, local.weekday, local.quarter], begins)
    return lowest


def _times(energies_wh: Integers, factors: Integers) -> Any:
    """Exact, also where the product has more than 63 bits."""
    is_large = len(energies_wh) > 0 and int(energies_wh.max()) > ENERGY_WH_MAX
    return (energies_wh.astype(object) if is_large else energies_wh) * factors


def _trust(source: Source) -> Integers:
    """Thousandths by grade."""
    trust = np.full(max(Grade) + 1, PERMILLE, dtype=np.int64)
    trust[Grade.DEVICE], trust[Grade.GATEWAY] = source.grade_permille.device, source.grade_permille.gateway
    return trust
