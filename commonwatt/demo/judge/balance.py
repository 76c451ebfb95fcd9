"""What corrections take back and what waits because of it, from docs/spec/settlement.md ("Corrections") alone."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from commonwatt.demo.judge.settle import Claim
from commonwatt.demo.judge.stated import Statement

MEASURED = (1, 2, 5)  # sources
REVIEWED = 2  # the last revision that gives


class Balance:
    """Windows one after the other: what corrections take back, and which claims wait because of it."""

    def __init__(self, corrections: Iterable[Statement]) -> None:
        self._coming = sorted(corrections, key=lambda correction: correction.index)
        self._minted: list[Claim] = []
        self._owed: list[Claim] = []

    def window(self, claims: Iterable[Claim], end_s: int, log_size: int) -> list[Claim]:
        """The claims that are minted for a window; `log_size`: what its last closing knew."""
        claims = [*claims, *self._owed]
        while self._coming and self._coming[0].index < log_size:
            claims += _taken_back(self._coming.pop(0), [*self._minted, *claims], end_s)
        groups: dict[tuple[bytes, int], list[Claim]] = defaultdict(list)
        for claim in claims:
            groups[claim.account, claim.source].append(claim)
        minted: list[Claim] = []
        self._owed = []
        for group in groups.values():
            is_short = sum(row.amount_mc for row in group) <= 0 or sum(row.energy_wh for row in group) < 0
            owes = is_short and any(row.revision > REVIEWED for row in group)
            (self._owed if owes else minted).extend(group)
        self._minted += minted
        return minted


def _taken_back(correction: Statement, claims: Iterable[Claim], closing_s: int) -> list[Claim]:
    """A further revision of each span that loses something."""
    lines: dict[tuple[int, int, int], list[Claim]] = defaultdict(list)
    for claim in claims:
        is_within = correction.start_s <= claim.start_s and claim.end_s <= correction.end_s
        if claim.device == correction.subject and claim.source in MEASURED and is_within:
            lines[claim.start_s, claim.end_s, claim.source].append(claim)
    spans = [sorted(lines[key], key=lambda line: line.revision) for key in sorted(lines)]
    spans = [span for span in spans if _energy_wh(span) > 0]
    total_wh = sum(_energy_wh(span) for span in spans)
    true_wh = min(correction.number, total_wh)
    back: list[Claim] = []
    reached_wh = 0
    for span in spans:
        stands_wh, stands_mc = _energy_wh(span), sum(line.amount_mc for line in span)
        kept_wh = (reached_wh + stands_wh) * true_wh // total_wh - reached_wh * true_wh // total_wh
        reached_wh += stands_wh
        if kept_wh < stands_wh:
            back.append(
                replace(
                    span[0],
                    revision=max(REVIEWED, span[-1].revision) + 1,
                    energy_wh=kept_wh - stands_wh,
                    amount_mc=stands_mc * kept_wh // stands_wh - stands_mc,
                    closing_s=closing_s,
                )
            )
    return back


def _energy_wh(lines: Iterable[Claim]) -> int:
    return sum(line.energy_wh for line in lines)
