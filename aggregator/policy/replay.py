"""What a proposed policy would have paid for what was measured, beside what the present one does. Pure.

Claims are valued by each policy and joined to mints by each policy's own windows, so that rounding and the
association's share are those of the rule. Which energy was matched does not depend on the rates; a shorter grace
would have made some blocks late, and that is not replayed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aggregator.minting import valuation
from aggregator.minting.valuation import PERMILLE
from aggregator.policy.rules import Rules
from aggregator.settling.interval import Claim
from commonwatt.units import INTERVAL_S


@dataclass(frozen=True, slots=True)
class Settled:
    """A claim and the end of the interval that it was settled with, which tells its window."""

    claim: Claim
    closing_s: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What accounts would hold: milli-credits before and after by account, the association's apart."""

    before_mc: Mapping[bytes, int]
    after_mc: Mapping[bytes, int]
    association_before_mc: int
    association_after_mc: int

    def change_mc(self, account: bytes) -> int:
        """Positive for a winner."""
        return self.after_mc.get(account, 0) - self.before_mc.get(account, 0)

    @property
    def accounts(self) -> list[bytes]:
        """Winners first, by how much; accounts that earn nothing either way are left out."""
        return sorted(
            self.before_mc.keys() | self.after_mc.keys(), key=lambda account: (-self.change_mc(account), account)
        )

    @property
    def total_before_mc(self) -> int:
        """All credits made, the association's share included."""
        return sum(self.before_mc.values()) + self.association_before_mc

    @property
    def total_after_mc(self) -> int:
        """All credits that would have been made."""
        return sum(self.after_mc.values()) + self.association_after_mc


def replay(claims: Iterable[Settled], before: Rules, after: Rules) -> Outcome:
    """Value the same claims by both."""
    settled = list(claims)
    before_mc, association_before_mc = _earned(settled, before)
    after_mc, association_after_mc = _earned(settled, after)
    return Outcome(before_mc, after_mc, association_before_mc, association_after_mc)


def _earned(claims: Sequence[Settled], rules: Rules) -> tuple[dict[bytes, int], int]:
    """Milli-credits by account, and the association's."""
    mints_mc: Counter[tuple[int, bytes, int]] = Counter()
    for item in claims:
        # An interval belongs to the window that contains its beginning (docs/spec/settlement.md, "Value").
        window = (item.closing_s - INTERVAL_S) // rules.window_s
        mints_mc[window, item.claim.account, item.claim.source] += valuation.amount_mc(item.claim, rules)
    members_mc: Counter[bytes] = Counter()
    association_mc = 0
    for (_window, account, _source), gross_mc in mints_mc.items():
        share_mc = gross_mc * rules.share_permille // PERMILLE
        association_mc += share_mc
        members_mc[account] += gross_mc - share_mc
    return {account: amount_mc for account, amount_mc in members_mc.items() if amount_mc}, association_mc
