"""What a proposed policy would have paid for what was measured, beside what the present one does. Pure.

Claims are valued by each policy and joined to mints by each policy's own windows, so that rounding, caps and the
association's share are those of the rule. Which energy was matched does not depend on the rates; a shorter grace
would have made some blocks late, and that is not replayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from aggregator.earning.earned import Earned
from aggregator.earning.local_time import Integers
from aggregator.earning.worth import ClaimColumns, capped, windows_of, worth
from aggregator.policy.rules import Rules
from aggregator.policy.terms import PERMILLE
from ledger.book import mint


@dataclass(frozen=True, slots=True)
class Measured:
    """What one policy would value: claims, and the accounts that their numbers mean. `given`: declared values that it
    takes, each with the civil time of its confirmation. What was settled or confirmed by `counts_from_s` only uses of
    caps what it did."""

    accounts: tuple[bytes, ...]
    claims: ClaimColumns
    given: tuple[tuple[Earned, int], ...] = ()
    counts_from_s: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What accounts would hold: milli-credits before and after by account, the association's apart; all by source."""

    before_mc: Mapping[bytes, int]
    after_mc: Mapping[bytes, int]
    association_before_mc: int
    association_after_mc: int
    by_source_before_mc: Mapping[int, int] = field(default_factory=dict)
    by_source_after_mc: Mapping[int, int] = field(default_factory=dict)

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


def replay(before: tuple[Measured, Rules], after: tuple[Measured, Rules]) -> Outcome:
    """Value what was measured by two policies; what energy they value may differ with their terms."""
    old, new = _earned(*before), _earned(*after)
    return Outcome(
        old.members_mc, new.members_mc, old.association_mc, new.association_mc, old.sources_mc, new.sources_mc
    )


class _Earned(NamedTuple):
    """Milli-credits by account, the association's, and all by source."""

    members_mc: dict[bytes, int]
    association_mc: int
    sources_mc: dict[int, int]


def _earned(measured: Measured, rules: Rules) -> _Earned:
    given = _given(measured, rules)
    claims = measured.claims
    valued_mc = np.where(claims.closings_s > measured.counts_from_s, worth(claims, rules).amounts_mc, 0)
    amounts_mc = np.concatenate([valued_mc, given.amounts_mc])
    if not len(amounts_mc):
        return _Earned({}, 0, {})
    accounts = np.concatenate([claims.accounts, given.accounts])
    sources = np.concatenate([claims.sources, np.full(len(given.accounts), mint.SOURCE_DECLARED)])
    windows_s = np.concatenate([windows_of(claims.closings_s, rules), given.windows_s])
    # One mint per window, account and source: each loses less than a milli-credit to rounding of the share.
    order = np.lexsort((windows_s, sources, accounts))
    keys = np.stack([accounts[order], sources[order], windows_s[order]], axis=1)
    firsts = np.flatnonzero(np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)]))
    gross_mc = np.add.reduceat(amounts_mc[order], firsts)
    shares = np.array([0, *(rules.share_permille_of(source) for source in range(1, mint.SOURCE_LAST + 1))])
    association_mc = gross_mc * shares[keys[firsts, 1]] // PERMILLE
    members_mc = np.zeros(len(measured.accounts), dtype=np.int64)
    np.add.at(members_mc, keys[firsts, 0], gross_mc - association_mc)
    earned_mc = dict(zip(measured.accounts, members_mc.tolist(), strict=True))
    sources_mc = np.zeros(mint.SOURCE_LAST + 1, dtype=np.int64)
    np.add.at(sources_mc, keys[firsts, 1], gross_mc)
    return _Earned(
        {account: amount_mc for account, amount_mc in earned_mc.items() if amount_mc},
        int(association_mc.sum()),
        {source: amount_mc for source, amount_mc in enumerate(sources_mc.tolist()) if amount_mc},
    )


class _Given(NamedTuple):
    accounts: Integers
    windows_s: Integers
    amounts_mc: Integers


def _given(measured: Measured, rules: Rules) -> _Given:
    """Declared values in columns, under the caps of their kinds."""
    number = {account: place for place, account in enumerate(measured.accounts)}
    rows = sorted(measured.given, key=lambda item: (item[1], item[0].start_s, item[0].thing))
    accounts = np.array([number[row.account] for row, _time_s in rows], dtype=np.int64)
    windows_s = np.array([time_s // rules.window_s * rules.window_s for _row, time_s in rows], dtype=np.int64)
    amounts_mc = np.array([row.amount_mc for row, _time_s in rows], dtype=np.int64)
    for kind, terms in rules.declared.items():
        at = np.array([place for place, (row, _time_s) in enumerate(rows) if row.kind == kind], dtype=np.int64)
        amounts_mc[at] = capped(amounts_mc[at], accounts[at], windows_s[at], terms, rules, {}, what=kind)
    times_s = np.array([time_s for _row, time_s in rows], dtype=np.int64)
    amounts_mc[times_s <= measured.counts_from_s] = 0
    return _Given(accounts, windows_s, amounts_mc)
