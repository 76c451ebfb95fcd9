"""What homes like one's own used in a span, on average: for pages that everybody may ask at any time.

Homes stand in fixed groups (with a roof or without, heated alike, of a size); everybody in one is told the mean of
the same homes: means of groups that differ by the asker alone would, put together, tell of single homes. A group
stays as it is once something was told of it, until somebody in it takes their consent back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from aggregator.impact import similar
from aggregator.impact.periods import Period
from aggregator.privacy import rule
from aggregator.privacy.memory import Told, remembering

BANDS_WH = (1_500_000, 3_000_000, 6_000_000, 12_000_000)
"""Where sizes of homes part, by what they use in a year."""
OTHERS_MIN = rule.SITES_MIN
"""A home is compared with so many others at least."""
KNOWN_PERMILLE_MIN = 900


@dataclass(frozen=True, slots=True)
class Home:
    """What a home is grouped by. `yearly_wh`: None: it has not been measured for long enough."""

    site: bytes
    has_roof: bool
    heating: str | None
    yearly_wh: int | None

    @property
    def band(self) -> int | None:
        """The number of its size, from the smallest."""
        if not self.yearly_wh:
            return None
        return sum(self.yearly_wh > limit_wh for limit_wh in BANDS_WH)


@dataclass(frozen=True, slots=True)
class Alike:
    """The mean of `homes` homes, and what they have in common; `others`: without the asker. `is_of_size`: whether
    they are of one's size too."""

    mean_wh: int
    homes: int
    others: int
    heating: str | None
    is_of_size: bool


def mean(
    private_db: Path, home: Home, homes: Iterable[Home], used: Mapping[bytes, tuple[int, int]], period: Period
) -> Alike | similar.Alone | rule.Withheld:
    """What the narrowest group that may be told of used in a period, or why none may.

    `homes`: those whose members agreed to be compared with, for all of the period; `used`: Wh and known intervals by
    site. What is told is remembered before it is returned.
    """
    if home.band is None:
        return similar.Alone.SIZE_UNKNOWN
    count = len(period.starts_s)
    measured = [row for row in homes if used.get(row.site, (0, 0))[1] * 1000 >= count * KNOWN_PERMILLE_MIN]
    answer: Alike | similar.Alone | rule.Withheld = similar.Alone.TOO_FEW_SITES
    for cell, sites, heating, is_of_size in _groups(home, measured):
        found = _told(private_db, cell, sites, {site: used[site][0] for site in sites}, home.site, period)
        if not isinstance(found, rule.Withheld):
            parts = [used[site][0] for site in found]
            others = len(found - {home.site})
            return Alike(similar.mean_wh(parts), len(parts), others, heating, is_of_size)
        answer = found if found is not rule.Withheld.TOO_FEW_SITES else answer
    return answer


def _groups(home: Home, homes: list[Home]) -> Iterator[tuple[str, frozenset[bytes], str | None, bool]]:
    """Groups that a home belongs to, the narrowest first."""
    roof = "roof" if home.has_roof else "no-roof"
    like = [row for row in homes if row.has_roof == home.has_roof]
    heated = [row for row in like if row.heating == home.heating]
    if home.heating is not None:
        sites = frozenset(row.site for row in heated if row.band == home.band)
        yield f"alike:{roof}:{home.heating}:{home.band}", sites, home.heating, True
    sites = frozenset(row.site for row in like if row.band == home.band)
    yield f"alike:{roof}:any:{home.band}", sites, None, True
    yield f"alike:{roof}:any:any", frozenset(row.site for row in like), None, False


def _told(
    private_db: Path,
    cell: str,
    sites: frozenset[bytes],
    used_wh: Mapping[bytes, int],
    asker: bytes,
    period: Period,
) -> frozenset[bytes] | rule.Withheld:
    """The homes whose mean is told."""
    with remembering(private_db) as memory:
        earlier = memory.during(period.start_s, period.end_s)
        kept = next((told.sites for told in reversed(earlier) if told.cell == cell and told.sites <= sites), None)
        chosen = sites if kept is None else kept
        others = [used_wh[site] for site in chosen if site != asker]
        if len(others) < OTHERS_MIN:
            return rule.Withheld.TOO_FEW_SITES
        withheld = rule.check_parts(others) or rule.check_parts([used_wh[site] for site in chosen])
        if withheld is None:
            before = {told.sites for told in earlier} - {chosen}
            withheld = rule.check_earlier(chosen, sorted(before, key=sorted))
        if withheld is None:
            memory.add(Told(cell, period.start_s, period.end_s, chosen))
        return withheld or chosen


def yearly_wh(used_wh: int, known: int, *, intervals: int = 364 * 96, known_min: int = 7 * 96) -> int | None:
    """What a home uses in 364 days, from what it used in the intervals that are known; None from less than a week."""
    return used_wh * intervals // known if known >= known_min else None


def agreed(consents: Mapping[bytes, tuple[date, date]], period: Period) -> set[bytes]:
    """Members whose consent, from its first day to its last, holds on a period's last day."""
    return {member for member, (first, last) in consents.items() if first <= period.last <= last}
