"""The same as valuation.py for all claims of an interval or a window at once. Pure; randomness is handed in."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aggregator.minting.valuation import NONCE_SIZE, PERMILLE, SALT_SIZE
from aggregator.numbers import Numbers
from aggregator.policy.rules import Rules
from aggregator.settling.claim_pages import Claims
from commonwatt.page import Integers, Octets
from commonwatt.units import WH_PER_KWH
from ledger.book.line_arrays import LineArrays
from ledger.book.mint import SOURCE_LAST
from ledger.book.mint_arrays import MintArrays


@dataclass(frozen=True, slots=True)
class Window:
    """What a window becomes: leaves, one row a mint, and the lines behind them; `firsts[i]` is the first line of mint
    i, with one more at the end. `line_accounts`, `line_devices`: numbers; `line_evidence`: ids of the blocks."""

    mints: MintArrays
    lines: LineArrays
    firsts: Integers
    line_accounts: Integers
    line_sources: Integers
    line_devices: Integers
    line_evidence: Integers


def amounts_mc(sources: Integers, energy_wh: Integers, rules: Rules) -> Integers:
    """What claims are worth, each rounded down."""
    rates = np.zeros(SOURCE_LAST + 1, dtype=np.int64)
    for number, source in rules.sources.items():
        rates[number] = source.rate_mc_per_kwh
    return _portion(energy_wh, rates[sources], WH_PER_KWH)


def mints_of_window(
    claims: Claims,
    digests: Callable[[Integers], Octets],
    known: Numbers,
    *,
    start_s: int,
    end_s: int,
    share_permille_of: Callable[[int], int],
    random: Callable[[int], bytes],
) -> Window | None:
    """One mint per account and source, in this order; none where nothing was earned, None if there is none.

    `digests`: SHA-256 of blocks by evidence id. `share_permille_of(source)`: the association's. `random(n)`: n fresh
    bytes.
    """
    claims = claims.where(_in_order(claims, known.ranks()))
    groups = claims.account * (SOURCE_LAST + 1) + claims.source
    is_first = np.ones(len(claims), dtype=np.bool_)
    is_first[1:] = groups[1:] != groups[:-1]
    earns = np.add.reduceat(claims.amount_mc, np.flatnonzero(is_first)) > 0 if len(claims) else is_first
    claims = claims.where(earns[np.cumsum(is_first) - 1])
    if not len(claims):
        return None
    groups = claims.account * (SOURCE_LAST + 1) + claims.source
    firsts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1], True])
    starts = firsts[:-1]
    gross_mc = np.add.reduceat(claims.amount_mc, starts)
    shares = np.array([share_permille_of(source) for source in range(SOURCE_LAST + 1)])
    association_mc = _portion(gross_mc, shares[claims.source[starts]], PERMILLE)
    lines = LineArrays(
        _drawn(random, len(claims), SALT_SIZE),
        known.ids(claims.device),
        *(claims.start_s, claims.end_s, claims.revision, claims.energy_wh, claims.amount_mc),
        digests(claims.evidence_id),
    )
    mints = MintArrays(
        nonces=_drawn(random, len(starts), NONCE_SIZE),
        account_ids=known.ids(claims.account[starts]),
        sources=claims.source[starts],
        energy_wh=np.add.reduceat(claims.energy_wh, starts),
        amount_mc=gross_mc - association_mc,
        association_mc=association_mc,
        lines=np.diff(firsts),
        lines_roots=lines.roots(firsts),
        window_start_s=start_s,
        window_end_s=end_s,
    )
    return Window(mints, lines, firsts, claims.account, claims.source, claims.device, claims.evidence_id)


def _in_order(claims: Claims, ranks: Integers) -> Integers:
    """Rows by account, source, start and device."""
    columns = (ranks[claims.account], claims.source, claims.start_s, ranks[claims.device])
    if not len(claims):
        return columns[0]
    key, span = np.zeros(len(claims), dtype=np.int64), 1
    for column in columns:
        least = int(column.min())
        width = int(column.max()) - least + 1
        span *= width
        if span > 2**63:
            return np.lexsort(columns[::-1])
        key = key * width + (column - least)
    order: Integers = np.argsort(key, kind="stable")
    return order


def _portion(values: Integers, parts: Integers, whole: int) -> Integers:
    """`values × parts // whole` of what is not negative, exact where the result fits in 63 bits."""
    return values // whole * parts + values % whole * parts // whole


def _drawn(random: Callable[[int], bytes], count: int, size: int) -> Octets:
    return np.frombuffer(random(count * size), dtype=np.uint8).reshape(count, size)
