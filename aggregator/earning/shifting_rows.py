"""Reads what requests ask of the past: each site's use in an event and on the comparable days before it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from aggregator.earning import shifting
from aggregator.earning.local_time import Integers, day_of
from aggregator.earning.shifting import Reason, Shifted
from aggregator.policy.rules import Rules
from aggregator.policy.terms import Shifting
from aggregator.settling.history import UNKNOWN
from aggregator.statements.requests import Request

LOOK_BACK_DAYS = 60
"""Farther back the season is another."""
SATURDAY = 5

Growth = Callable[[Sequence[bytes], int, int], Integers]
"""Import of devices in Wh over the intervals of a span, one row a device; UNKNOWN where it is not known."""


@dataclass(frozen=True, slots=True)
class Site:
    """A site that may be asked: its main meters ascending, and the feeder it hangs on, if anybody said it."""

    site: bytes
    mains: tuple[bytes, ...]
    feeder: bytes | None


def events(
    requests: Sequence[Request], sites: Iterable[Site], rules: Rules, growth: Growth, start_s: int, end_s: int
) -> Iterator[tuple[Request, dict[bytes, Shifted]]]:
    """What each site that was asked moved in every event that ended in `(start_s, end_s]`, in the log's order."""
    terms = rules.shifting
    if terms is None:
        return
    for request in requests:
        if start_s < request.end_s <= end_s:
            asked = [site for site in sites if request.concerns(site.feeder)]
            if request.time_s > request.start_s - terms.notice_s:
                yield request, {site.site: Shifted(Reason.ANNOUNCED_LATE) for site in asked}
            elif asked:
                yield request, _measured(request, requests, asked, rules, terms, growth)


def _measured(
    request: Request,
    requests: Sequence[Request],
    asked: Sequence[Site],
    rules: Rules,
    terms: Shifting,
    growth: Growth,
) -> dict[bytes, Shifted]:
    days = _comparable(request, rules)
    used_wh = _used(asked, growth, request.start_s, request.end_s)
    known: dict[bytes, list[int | None]] = {site.site: [] for site in asked}
    for start_s, end_s in days:
        if min(map(len, known.values())) >= terms.days:
            break
        free = [site for site in asked if not _was_asked(site, requests, start_s, end_s)]
        found = _used(free, growth, start_s, end_s) if free else {}
        for site, wh in found.items():
            if wh is not None:
                known[site].append(wh)
    return {site: shifting.measure(used_wh[site], wh, terms, is_peak=request.is_peak) for site, wh in known.items()}


def _comparable(request: Request, rules: Rules) -> Iterator[tuple[int, int]]:
    """The same hours by the local clock on the days before of the same kind, the nearest first."""
    first = datetime.fromtimestamp(request.start_s, rules.zone)
    length_s = request.end_s - request.start_s
    for back in range(1, LOOK_BACK_DAYS + 1):
        day = day_of(request.start_s, rules.zone) - timedelta(days=back)
        if (day.weekday() >= SATURDAY) == (first.weekday() >= SATURDAY):
            start_s = int(datetime.combine(day, first.time(), tzinfo=rules.zone).timestamp())
            yield start_s, start_s + length_s


def _was_asked(site: Site, requests: Iterable[Request], start_s: int, end_s: int) -> bool:
    return any(row.concerns(site.feeder) and row.start_s < end_s and start_s < row.end_s for row in requests)


def _used(sites: Sequence[Site], growth: Growth, start_s: int, end_s: int) -> Mapping[bytes, int | None]:
    """Import of each site in a span; None where any interval of any main meter is unknown."""
    devices = [device for site in sites for device in site.mains]
    rows = growth(devices, start_s, end_s)
    sums = np.where((rows == UNKNOWN).any(axis=1), UNKNOWN, np.where(rows == UNKNOWN, 0, rows).sum(axis=1)).tolist()
    by_device = dict(zip(devices, sums, strict=True))
    return {
        site.site: None
        if any(by_device[device] == UNKNOWN for device in site.mains)
        else sum(by_device[device] for device in site.mains)
        for site in sites
    }
