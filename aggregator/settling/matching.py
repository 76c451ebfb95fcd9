"""Who used the neighbours' solar energy in the same quarter of an hour. Pure integer arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Matched:
    """One interval's pool. `shares_wh`: matched energy by the key of each net consumer; sums to `matched_wh`."""

    supply_wh: int
    demand_wh: int
    matched_wh: int
    shares_wh: Mapping[bytes, int]

    @property
    def unallocated_wh(self) -> int:
        """Supply that nobody used in the same interval."""
        return self.supply_wh - self.matched_wh


def match(nets_wh: Mapping[bytes, int]) -> Matched:
    """Share the supply among the demand. `nets_wh`: import − export by main-meter id, negative: the site supplies."""
    demands = {key: net_wh for key, net_wh in nets_wh.items() if net_wh > 0}
    supply_wh = -sum(net_wh for net_wh in nets_wh.values() if net_wh < 0)
    demand_wh = sum(demands.values())
    matched_wh = min(supply_wh, demand_wh)
    return Matched(supply_wh, demand_wh, matched_wh, largest_remainder(matched_wh, demands))


def largest_remainder(total: int, weights: Mapping[bytes, int]) -> dict[bytes, int]:
    """`total` in whole parts proportional to `weights` (positive; at least `total` in sum); ties to the smaller key.

    Everyone gets the part rounded down; what is left goes, one each, to the largest remainders (Hare quota).
    """
    weight_sum = sum(weights.values())
    assert 0 <= total <= weight_sum
    assert all(weight > 0 for weight in weights.values())
    shares = {key: total * weight // weight_sum for key, weight in weights.items()}
    left = total - sum(shares.values())
    by_remainder = sorted(weights, key=lambda key: (-(total * weights[key] % weight_sum), key))
    for key in by_remainder[:left]:
        shares[key] += 1
    return shares


def match_afterwards(net_wh: int, touched_wh: Mapping[int, int]) -> int:
    """What a gap or late span may count as matched: its net demand, as far as every closed interval that it touches
    still has that much unallocated (`touched_wh`: Wh left, by the interval's end; empty: nothing)."""
    return max(0, min(net_wh, min(touched_wh.values(), default=0)))
