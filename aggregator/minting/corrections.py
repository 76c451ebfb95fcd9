"""What a correction takes back, and what is minted while something is owed (docs/spec/settlement.md). Pure.

Nothing that was minted is changed: each span gets a further revision, with less than nothing, and is balanced by what
its account earns by the same source from then on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.settling.claim_pages import Claims
from aggregator.settling.interval import REVIEWED
from ledger.book import mint

MEASURED = frozenset({mint.SOURCE_PRODUCTION, mint.SOURCE_MATCHED, mint.SOURCE_HEAT})
"""Sources whose energy a meter counted; what was saved or shifted is no energy of its own."""


@dataclass(frozen=True, slots=True, order=True)
class Standing:
    """What stands of one span by one source: the sum of its lines. `revision`: the highest of them; `block_sha256`:
    of the block behind the lowest."""

    start_s: int
    end_s: int
    source: int
    revision: int
    energy_wh: int
    amount_mc: int
    block_sha256: bytes


def stands(lines: Iterable[Standing]) -> list[Standing]:
    """Lines of one device as sums, by time and source; those of which nothing is left are left out."""
    found: dict[tuple[int, int, int], Standing] = {}
    for line in sorted(lines):
        key = (line.start_s, line.end_s, line.source)
        before = found.get(key)
        energy_wh, amount_mc = line.energy_wh, line.amount_mc
        digest = line.block_sha256
        if before is not None:
            energy_wh, amount_mc = energy_wh + before.energy_wh, amount_mc + before.amount_mc
            digest = before.block_sha256
        found[key] = Standing(*key, line.revision, energy_wh, amount_mc, digest)
    return [row for row in found.values() if row.energy_wh > 0]


def taken_back(standing: Sequence[Standing], energy_wh: int) -> Iterator[Standing]:
    """The next revision of each span that loses something when only `energy_wh` of all of them are true.

    Each keeps its part, rounded so that the parts sum to the whole, and as many of its milli-credits, rounded down.
    """
    total_wh = sum(row.energy_wh for row in standing)
    true_wh = min(energy_wh, total_wh)
    reached_wh, kept_before_wh = 0, 0
    for row in standing:
        reached_wh += row.energy_wh
        kept_until_wh = reached_wh * true_wh // total_wh
        kept_wh, kept_before_wh = kept_until_wh - kept_before_wh, kept_until_wh
        if kept_wh < row.energy_wh:
            kept_mc = row.amount_mc * kept_wh // row.energy_wh
            revision = max(row.revision, REVIEWED) + 1
            figures = (kept_wh - row.energy_wh, kept_mc - row.amount_mc)
            yield Standing(row.start_s, row.end_s, row.source, revision, *figures, row.block_sha256)


def apart(claims: Claims) -> tuple[Claims, Claims]:
    """Claims that are minted now, and those of accounts and sources that owe: of which something was taken back, and
    not more than that came since, in milli-credits and watt-hours."""
    if not (claims.revision > REVIEWED).any():
        return claims, claims.where(np.zeros(0, dtype=np.int64))
    groups, of_claim = np.unique(np.stack([claims.account, claims.source], axis=1), axis=0, return_inverse=True)
    amounts_mc, energies_wh, takes_back = (np.zeros(len(groups), dtype=np.int64) for _ in range(3))
    for sums, values in (
        (amounts_mc, claims.amount_mc),
        (energies_wh, claims.energy_wh),
        (takes_back, claims.revision > REVIEWED),
    ):
        np.add.at(sums, of_claim, values)
    owes = (takes_back > 0) & ((amounts_mc <= 0) | (energies_wh < 0))
    is_owed = owes[of_claim]
    return claims.where(~is_owed), claims.where(is_owed)
