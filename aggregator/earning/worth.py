"""What claims are worth beyond energy times rate: times, grades of trust, caps (docs/spec/settlement.md, "Value").

Pure, whole numbers, columns: one row a claim, so that ninety days of a town are valued in seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aggregator.earning.local_time import DAY_S, QUARTER_S, Integers, local_times, offsets_s
from aggregator.policy.rules import Rules
from aggregator.policy.terms import PERMILLE, QUARTERS, Capped, Source
from commonwatt.units import INTERVAL_S, WH_PER_KWH
from ledger.book.kinds import Grade


@dataclass(frozen=True, slots=True)
class ClaimColumns:
    """Claims, one row each, in the order in which caps take them: by window, then account and source, then time and
    device. `accounts` are numbers that the caller gives; `windows_s`: when the window begins."""

    accounts: Integers
    sources: Integers
    starts_s: Integers
    ends_s: Integers
    energies_wh: Integers
    grades: Integers
    windows_s: Integers

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
    for number, source in rules.sources.items():
        rows = np.flatnonzero(claims.sources == number)
        if len(rows) == 0:
            continue
        rates = _rates(source, rules, claims.starts_s[rows], claims.ends_s[rows])
        trust = _trust(source)[claims.grades[rows]]
        amounts = claims.energies_wh[rows] * (rates * trust) // (WH_PER_KWH * PERMILLE)
        amounts_mc[rows] = capped(
            amounts, claims.accounts[rows], claims.windows_s[rows], source, rules, used, what=str(number)
        )
    return Worth(amounts_mc, used)


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
        amounts_mc = _limit(amounts_mc, accounts, begins_s, cap_mc, used_mc, (what, span))
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
    accounts: Integers,
    begins_s: Integers,
    cap_mc: int,
    used_mc: dict[CapKey, int],
    name: tuple[str, str],
) -> Integers:
    """Of each account's amounts in each span, in order, what fits under the cap: what is above it is lost."""
    if len(amounts_mc) == 0:
        return amounts_mc
    order = np.lexsort((np.arange(len(accounts)), begins_s, accounts))
    groups = np.stack([accounts[order], begins_s[order]], axis=1)
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = (groups[1:] != groups[:-1]).any(axis=1)
    firsts = np.flatnonzero(is_first)
    keys = [CapKey(account, *name, begin) for account, begin in groups[firsts].tolist()]
    before_mc = np.array([used_mc.get(key, 0) for key in keys], dtype=np.int64)
    sums = np.cumsum(amounts_mc[order])
    earlier = np.concatenate([[0], sums[:-1]])
    group = np.cumsum(is_first) - 1
    after = sums - earlier[firsts][group] + before_mc[group]
    granted = np.minimum(after, cap_mc) - np.minimum(after - amounts_mc[order], cap_mc)
    if name[1] != "window":
        for key, before, more in zip(keys, before_mc.tolist(), np.add.reduceat(granted, firsts).tolist(), strict=True):
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


def _trust(source: Source) -> Integers:
    """Thousandths by grade."""
    trust = np.full(max(Grade) + 1, PERMILLE, dtype=np.int64)
    trust[Grade.DEVICE], trust[Grade.GATEWAY] = source.grade_permille.device, source.grade_permille.gateway
    return trust
