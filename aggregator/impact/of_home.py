"""The impact of one home: its own figures, beside its own past and beside homes like it."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from aggregator.commune.directory import CommuneDirectory
from aggregator.impact import figures, measured, similar
from aggregator.impact.carbon import Factors
from aggregator.impact.figures import Comparison, Figure
from aggregator.impact.measured import Commune
from aggregator.impact.periods import Period
from aggregator.impact.similar import Alone, Group, Home
from aggregator.privacy import cells, rule
from aggregator.privacy.memory import Told, remembering
from ledger.book.kinds import DeviceRole

SIZE_DAYS = (364, 182, 91, 28, 7)
"""Over how long the size of a home is judged: the longest that it has been measured for."""
DAY_S = 86_400


class Impact(NamedTuple):
    """Figures of a period, what they stand beside, and the group that was compared with (or why there is none)."""

    period: Period
    figures: Sequence[Figure]
    comparisons: Sequence[Comparison]
    group: Group | Alone | None = None


def read(connection: sa.Connection, commune: Commune, site: bytes, period: Period, factors: Factors) -> Impact:
    """Read all of it."""
    now = list(_figures(connection, commune, site, period, factors))
    comparisons = [
        row
        for name, then in (("before", period.before()), ("year_before", period.year_before()))
        for row in beside(now, list(_figures(connection, commune, site, then, factors)), name, then)
    ]
    like, told = _beside_others(connection, commune, site, period)
    return Impact(period, now, [*comparisons, *told], like)


def beside(now: Sequence[Figure], then: Sequence[Figure], with_: str, span: Period) -> Iterator[Comparison]:
    """Each figure and the same one of another span."""
    by_name = {figure.name: figure for figure in then}
    for figure in now:
        yield figures.compare(figure, by_name.get(figure.name), with_, (span.start_s, span.end_s))


def _figures(
    connection: sa.Connection, commune: Commune, site: bytes, period: Period, factors: Factors
) -> Iterator[Figure]:
    balance = measured.balance(connection, commune, site, period)
    return figures.of_balance(balance, factors, (period.start_s, period.end_s), figures.MEASURED)


def _beside_others(
    connection: sa.Connection, commune: Commune, site: bytes, period: Period
) -> tuple[Group | Alone, list[Comparison]]:
    """Consumption beside the mean of similar homes whose members agreed to be compared with until the last day."""
    span = (period.start_s, period.end_s)
    home, size_span = _sized(connection, commune, site, period.end_s)
    agreed = [other for other in _who_agreed(commune, period.last) if other != site]
    homes = [_home(commune, other, _size_wh(connection, commune, other, size_span)) for other in agreed]
    used = {other: measured.consumption_wh(connection, commune, other, *span) for other in agreed}
    like = similar.group(home, [row for row in homes if used[row.site] is not None])
    own_wh = measured.consumption_wh(connection, commune, site, *span)
    if isinstance(like, Alone) or own_wh is None:
        why_not = like.value if isinstance(like, Alone) else "not-measured-enough"
        return like, [Comparison("consumption", "similar", *span, None, "Wh", why_not=why_not)]
    parts = [wh for other in sorted(like.sites) if (wh := used[other]) is not None]
    withheld = rule.check_parts(parts) or _remember(commune, site, period, like.sites)
    if withheld is not None:
        return like, [Comparison("consumption", "similar", *span, None, "Wh", why_not=withheld.value)]
    mean_wh = similar.mean_wh(parts)
    change = figures.change_permille(own_wh, mean_wh)
    return like, [Comparison("consumption", "similar", *span, mean_wh, "Wh", change, homes=len(parts))]


def _remember(commune: Commune, site: bytes, period: Period, sites: frozenset[bytes]) -> rule.Withheld | None:
    """Whether this mean may be told after all that was told of these days; if so it is remembered, durably."""
    with remembering(CommuneDirectory(commune.directory).private_db) as memory:
        earlier = {told.sites for told in memory.during(period.start_s, period.end_s)}
        withheld = rule.check_earlier(sites, sorted(earlier - {sites}, key=sorted))
        if withheld is None:
            memory.add(Told(f"similar:{site.hex()}", period.start_s, period.end_s, sites))
    return withheld


def _who_agreed(commune: Commune, day: date) -> list[bytes]:
    """Sites whose members agree to stand beside others, on a day."""
    found = []
    for site, member in sorted(commune.members().items()):
        consent = cells.consent_of(commune.names, member, "comparison")
        if consent is not None and consent.first <= day <= consent.last:
            found.append(site)
    return found


def _sized(connection: sa.Connection, commune: Commune, site: bytes, end_s: int) -> tuple[Home, tuple[int, int]]:
    """A home and the longest span over which its size is known."""
    for days in SIZE_DAYS:
        span = (end_s - days * DAY_S, end_s)
        if (size_wh := _size_wh(connection, commune, site, span)) is not None:
            return _home(commune, site, size_wh), span
    return _home(commune, site, None), (end_s - SIZE_DAYS[-1] * DAY_S, end_s)


def _size_wh(connection: sa.Connection, commune: Commune, site: bytes, span: tuple[int, int]) -> int | None:
    """What a home uses in 364 days, from what it used in a span."""
    used_wh = measured.consumption_wh(connection, commune, site, *span)
    return None if used_wh is None else used_wh * SIZE_DAYS[0] * DAY_S // (span[1] - span[0])


def _home(commune: Commune, site: bytes, yearly_wh: int | None) -> Home:
    place = commune.places.sites.get(site)
    heating = place.facts.heating if place else None
    return Home(site, yearly_wh, heating, bool(commune.meters(site, DeviceRole.PRODUCTION)))
