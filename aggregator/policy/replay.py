"""What a proposed policy would have paid for what was measured, beside what the present one does. Pure.

Claims are valued by each policy and joined to mints by each policy's own windows, so that rounding, caps and the
association's share are those of the rule. Which energy was matched does not depend on the rates; a shorter grace
would have made some blocks late, and that is not replayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aggregator.earning.worth import ClaimColumns, windows_of, worth
from aggregator.policy.rules import Rules
from aggregator.policy.terms import PERMILLE


@dataclass(frozen=True, slots=True)
class Measured:
    """What was settled: claims, and the accounts that their numbers mean."""

    accounts: tuple[bytes, ...]
    claims: ClaimColumns


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


def replay(measured: Measured, before: Rules, after: Rules) -> Outcome:
    """Value the same claims by both."""
    before_mc, association_before_mc = _earned(measured, before)
    after_mc, association_after_mc = _earned(measured, after)
    return Outcome(before_mc, after_mc, association_before_mc, association_after_mc)


def _earned(measured: Measured, rules: Rules) -> tuple[dict[bytes, int], int]:
    """Milli-credits by account, and the association's."""
    claims = measured.claims
    if len(claims.sources) == 0:
        return {}, 0
    amounts_mc = worth(claims, rules).amounts_mc
    # One mint per window, account and source: each loses less than a milli-credit to rounding of the share.
    windows_s = windows_of(claims.closings_s, rules)
    order = np.lexsort((windows_s, claims.sources, claims.accounts))
    keys = np.stack([claims.accounts[order], claims.sources[order], windows_s[order]], axis=1)
    firsts = np.flatnonzero(np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)]))
    gross_mc = np.add.reduceat(amounts_mc[order], firsts)
    shares = np.array([0, *(rules.share_permille_of(source) for source in range(1, int(claims.sources.max()) + 1))])
    association_mc = gross_mc * shares[keys[firsts, 1]] // PERMILLE
    members_mc = np.zeros(len(measured.accounts), dtype=np.int64)
    np.add.at(members_mc, keys[firsts, 0], gross_mc - association_mc)
    earned_mc = dict(zip(measured.accounts, members_mc.tolist(), strict=True))
    return {account: amount_mc for account, amount_mc in earned_mc.items() if amount_mc}, int(association_mc.sum())
