"""The same as matching.match for all sites at once. Pure; test_interval_columns.py holds one against the other."""

import numpy as np

from aggregator.settling import matching
from commonwatt.page import Integers
from commonwatt.units import INT64_MAX


def shares_wh(total_wh: int, demands_wh: Integers, ranks: Integers) -> Integers:
    """`total_wh` shared among demands (positive; at least as much in sum) by largest remainder, ties to the smaller
    rank (all different).

    Whoever has a larger remainder than the last one served is served; only those at the margin need an order.
    """
    if not len(demands_wh):
        return demands_wh
    if total_wh * int(demands_wh.max()) > INT64_MAX:
        return _plainly(total_wh, demands_wh, ranks)
    shares, remainders = np.divmod(demands_wh * total_wh, int(demands_wh.sum()))
    left = total_wh - int(shares.sum())
    if left:
        margin = np.partition(remainders, len(remainders) - left)[len(remainders) - left]
        shares[remainders > margin] += 1
        at_margin = np.flatnonzero(remainders == margin)
        still_left = left - int(np.count_nonzero(remainders > margin))
        shares[at_margin[np.argsort(ranks[at_margin])[:still_left]]] += 1
    return shares


def _plainly(total_wh: int, demands_wh: Integers, ranks: Integers) -> Integers:
    """Where products go beyond 63 bits: the rule itself, with whole numbers of any size."""
    names = [rank.to_bytes(8, "big") for rank in ranks.tolist()]
    shares = matching.largest_remainder(total_wh, dict(zip(names, demands_wh.tolist(), strict=True)))
    return np.array([shares[name] for name in names], dtype=np.int64)
