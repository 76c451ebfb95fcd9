"""One closing interval, from spans to claims (docs/spec/settlement.md). Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from aggregator.plausibility import spans as plausible_spans
from aggregator.settling import matching
from aggregator.settling.matching import Matched
from aggregator.settling.settlement import Span
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.refusal import Hold
from commonwatt.units import INT64_MAX, INTERVAL_S
from ledger.book import mint
from ledger.book.kinds import DeviceRole, Grade


class Source(IntEnum):
    """What a claim is for."""

    PRODUCTION = mint.SOURCE_PRODUCTION
    MATCHED = mint.SOURCE_MATCHED


ON_TIME, AFTERWARDS, REVIEWED = 0, 1, 2
"""Revisions: of a claim made as its interval closed, of one for a gap or late span, and of one for a span that was
held until a steward released it."""


PERMILLE = 1000

HELD_AS_CLAIMS = frozenset(reason for reason in Hold if Hold.STUCK <= reason <= Hold.TWIN)
"""What is found before a window is minted holds claims, whose energy was allocated; anything else holds spans."""


@dataclass(frozen=True, slots=True)
class Meter:
    """An admitted device as settlement needs it. `account`: of the member who holds its site. `unsold_permille`: how
    much of the site's production is not sold under a purchase obligation or guarantees of origin. `feeder`: which one
    it hangs on, if anybody said it.
    """

    device: bytes
    role: DeviceRole
    site: bytes
    account: bytes
    rated_power_w: int
    grade: Grade = Grade.DEVICE
    unsold_permille: int = PERMILLE
    feeder: bytes | None = None

    def unsold_wh(self, energy_wh: int) -> int:
        """What of the site's production or supply may earn, rounded down."""
        return energy_wh * self.unsold_permille // PERMILLE


@dataclass(frozen=True, slots=True)
class Claim:
    """This account earned for this energy, from this device, in this span, by this source."""

    device: bytes
    start_s: int
    end_s: int
    source: Source
    revision: int
    energy_wh: int
    account: bytes
    evidence_id: int


@dataclass(frozen=True, slots=True)
class HeldSpan:
    """A span that waits. `energy_wh`: its growth (production), or import − export; may be negative. `evidence_id`: of
    its later reading."""

    device: bytes
    start_s: int
    end_s: int
    reason: Hold
    energy_wh: int
    evidence_id: int


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing one interval gave. `left_wh`: Wh still unallocated after the gaps, by every interval it changed
    and the closed one; `sites`: how many sites' main meters were on time; `largest_…`, `second_…`: of two of them."""

    pool: Matched
    claims: tuple[Claim, ...]
    held: tuple[HeldSpan, ...]
    left_wh: Mapping[int, int]
    sites: int
    largest_supply_wh: int
    largest_demand_wh: int
    second_supply_wh: int
    second_demand_wh: int


@dataclass(frozen=True, slots=True)
class _Kept:
    span: Span
    meter: Meter

    @property
    def net_wh(self) -> int:
        return energy_wh(self.span, self.meter.role)

    def claim(self, source: Source, revision: int, matched_wh: int) -> Claim:
        span = self.span
        return Claim(
            *(span.device, span.start_s, span.end_s, source, revision, matched_wh),
            account=self.meter.account,
            evidence_id=span.evidence_id,
        )


def energy_wh(span: Span, role: DeviceRole) -> int:
    """What the span measured: production of a generator, else import − export."""
    exported_wh = span.growth_wh.get(EXPORT.number, 0)
    return exported_wh if role is DeviceRole.PRODUCTION else span.growth_wh.get(IMPORT.number, 0) - exported_wh


def close(
    end_s: int,
    spans: Iterable[Span],
    *,
    meters: Mapping[bytes, Meter],
    frozen: frozenset[bytes],
    unallocated_wh: Mapping[int, int],
    released: Iterable[HeldSpan] = (),
) -> Closed:
    """Close `[end_s − 900, end_s)` with the spans settled now, and those that a steward released since the closing
    before. `unallocated_wh`: of the closed intervals that these spans touch, by the interval's end."""
    kept, held = _sort_out(spans, meters, frozen)
    on_time = [item for item in kept if item.span.is_on_time(end_s)]
    afterwards = [item for item in kept if not item.span.is_on_time(end_s)]
    mains = _mains_by_site(on_time)
    nets_wh = {site[0].meter.device: _unsold_net_wh(site) for site in mains}
    pool = matching.match(nets_wh)
    left_wh = {**unallocated_wh, end_s: pool.unallocated_wh}
    claims = [
        *_on_time_claims(on_time, mains, pool),
        *claims_afterwards([(item.span, item.meter) for item in afterwards], left_wh),
        *claims_released(released, meters, left_wh),
    ]
    supplies_wh = sorted([*(max(0, -net_wh) for net_wh in nets_wh.values()), 0, 0], reverse=True)
    demands_wh = sorted([*(max(0, net_wh) for net_wh in nets_wh.values()), 0, 0], reverse=True)
    return Closed(
        pool,
        tuple(claim for claim in claims if claim.energy_wh > 0),
        tuple(held),
        {end: wh for end, wh in left_wh.items() if unallocated_wh.get(end) != wh},
        len(mains),
        largest_supply_wh=supplies_wh[0],
        largest_demand_wh=demands_wh[0],
        second_supply_wh=supplies_wh[1],
        second_demand_wh=demands_wh[1],
    )


def touched_ends_s(span: Span | HeldSpan) -> range:
    """The ends of the intervals that a span lies in."""
    return range(span.start_s + INTERVAL_S, span.end_s + 1, INTERVAL_S)


def _sort_out(
    spans: Iterable[Span], meters: Mapping[bytes, Meter], frozen: frozenset[bytes]
) -> tuple[list[_Kept], list[HeldSpan]]:
    """Plausible spans and held ones, by device and time."""
    kept: list[_Kept] = []
    held: list[HeldSpan] = []
    for span in sorted(spans, key=lambda span: (span.device, span.start_s)):
        meter = meters[span.device]
        reason = plausible_spans.hold(span, rated_power_w=meter.rated_power_w, is_frozen=span.device in frozen)
        if reason is None:
            kept.append(_Kept(span, meter))
        else:
            held.append(held_span(span, meter, reason))
    return kept, held


def held_span(span: Span, meter: Meter, reason: Hold) -> HeldSpan:
    """A span that waits, with what its registers say; nothing is known of a register that was replaced."""
    wh = 0 if reason is Hold.REPLACED else max(-INT64_MAX, min(energy_wh(span, meter.role), INT64_MAX))
    return HeldSpan(span.device, span.start_s, span.end_s, reason, wh, span.evidence_id)


def reviewed_wh(reason: Hold, held_wh: int, corrected_wh: int | None) -> int:
    """What a released span counts with: what was held, or what the steward found instead; of a claim, whose energy
    was allocated, at most that."""
    if corrected_wh is None:
        return held_wh
    return min(corrected_wh, held_wh) if reason in HELD_AS_CLAIMS else corrected_wh


def _mains_by_site(on_time: Iterable[_Kept]) -> list[list[_Kept]]:
    """Main meters with a span on time, one list per site, the smallest device id first."""
    sites: dict[bytes, list[_Kept]] = {}
    for item in on_time:
        if item.meter.role is DeviceRole.MAIN:
            sites.setdefault(item.meter.site, []).append(item)
    return list(sites.values())


def _unsold_net_wh(site: list[_Kept]) -> int:
    """Import − export of a site; of what it supplies only the part that is not sold elsewhere."""
    net_wh = sum(item.net_wh for item in site)
    return net_wh if net_wh >= 0 else -site[0].meter.unsold_wh(-net_wh)


def _on_time_claims(on_time: Iterable[_Kept], mains: Iterable[list[_Kept]], pool: Matched) -> Iterator[Claim]:
    for item in on_time:
        if item.meter.role is DeviceRole.PRODUCTION:
            yield item.claim(Source.PRODUCTION, ON_TIME, item.meter.unsold_wh(item.net_wh))
    for first, *_ in mains:
        yield first.claim(Source.MATCHED, ON_TIME, pool.shares_wh.get(first.meter.device, 0))


def claims_afterwards(spans: Iterable[tuple[Span, Meter]], left_wh: dict[int, int]) -> Iterator[Claim]:
    """Gap and late spans by device and time; takes what they use from `left_wh`."""
    for item in (_Kept(span, meter) for span, meter in spans):
        if item.meter.role is DeviceRole.PRODUCTION:
            yield item.claim(Source.PRODUCTION, AFTERWARDS, item.meter.unsold_wh(item.net_wh))
        elif item.meter.role is DeviceRole.MAIN:
            yield item.claim(Source.MATCHED, AFTERWARDS, _take(item.span, item.net_wh, left_wh))


def claims_released(
    released: Iterable[HeldSpan], meters: Mapping[bytes, Meter], left_wh: dict[int, int]
) -> Iterator[Claim]:
    """Released spans by device and time, as late ones are; released claims have their part of intervals already."""
    for held in sorted(released, key=lambda held: (held.device, held.start_s)):
        meter = meters[held.device]
        place = (held.device, held.start_s, held.end_s)
        is_claim = held.reason in HELD_AS_CLAIMS
        if meter.role is DeviceRole.PRODUCTION:
            produced_wh = held.energy_wh if is_claim else meter.unsold_wh(held.energy_wh)
            yield Claim(*place, Source.PRODUCTION, REVIEWED, produced_wh, meter.account, held.evidence_id)
        elif meter.role is DeviceRole.MAIN:
            matched_wh = held.energy_wh if is_claim else _take(held, held.energy_wh, left_wh)
            yield Claim(*place, Source.MATCHED, REVIEWED, matched_wh, meter.account, held.evidence_id)


def _take(span: Span | HeldSpan, net_wh: int, left_wh: dict[int, int]) -> int:
    """Take from each closed interval of a span what the span may count as matched."""
    ends_s = [end_s for end_s in touched_ends_s(span) if end_s in left_wh]
    matched_wh = matching.match_afterwards(net_wh, {end_s: left_wh[end_s] for end_s in ends_s})
    for end_s in ends_s:
        left_wh[end_s] -= matched_wh
    return matched_wh
