"""docs/spec/settlement.md once more, in its order and its words: from readings to spans to claims to mints."""

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from commonwatt.demo.judge.book import Device, Replacement, Review, Wraps
from commonwatt.demo.judge.declared import Contradictions, Declared
from commonwatt.demo.judge.evidence import Closing, Reading
from commonwatt.demo.judge.past import PAST_S, PLUGS_EXCEED, Past, plugs_exceed
from commonwatt.demo.judge.policies import Policies
from commonwatt.units import INTERVAL_S

MAIN, PRODUCTION, SUB_METER = 1, 2, 3  # roles; sub-meters are never paid
IMPORT, EXPORT, HEAT_REGISTER = 1, 2, 3  # quantities
FROM_PRODUCTION, FROM_MATCHING = 1, 2  # sources
BACKWARDS, FUTURE, ABOVE_RATING, FROZEN = 1, 2, 3, 4  # reasons of a hold
REPLACED = 13
INT64_MAX = 2**63 - 1
FUTURE_S_MAX = 60


@dataclass(frozen=True, slots=True)
class Span:
    """What a device's registers grew by between two settled readings (Wh by quantity)."""

    device: Device
    start_s: int
    end_s: int
    growth_wh: Mapping[int, int]
    block_sha256: bytes
    said_wh: int | None = None  # instead of what the registers say: 0 of a replaced one, or what a steward found

    @property
    def net_wh(self) -> int:
        """Import minus export."""
        if self.said_wh is not None:
            return self.said_wh
        return self.growth_wh.get(IMPORT, 0) - self.growth_wh.get(EXPORT, 0)

    @property
    def energy_wh(self) -> int:
        """What the device measured: production of a generator, net of any other; may be negative."""
        if self.said_wh is None and self.device.role == PRODUCTION:
            return self.growth_wh.get(EXPORT, 0)
        return self.net_wh

    def intervals(self) -> list[int]:
        """Ends of the intervals that the span touches."""
        return list(range(self.start_s + INTERVAL_S, self.end_s + 1, INTERVAL_S))


@dataclass(frozen=True, slots=True)
class Claim:
    """Energy that earned credits, and through which block.

    `grade`: who signed the reading, 1 the device, 2 a gateway, 3 people. `kind`: of a declared value, which has no
    energy, the first 16 bytes of its statement's SHA-256 where others have a device, and all of it for a block.
    """

    device: bytes
    start_s: int
    end_s: int
    source: int
    revision: int
    energy_wh: int
    amount_mc: int
    account: bytes
    closing_s: int
    block_sha256: bytes
    grade: int = 1
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """Everything that follows from the evidence. `figures` by closing: supply, demand, matched, unallocated."""

    claims: list[Claim] = field(default_factory=list)
    held: list[tuple[bytes, int, int, int, int, int]] = field(default_factory=list)
    figures: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    gap_intervals: list[int] = field(default_factory=list)


class Settlement:
    """Closes intervals one after the other."""

    def __init__(
        self,
        *,
        devices: Mapping[bytes, Device],
        site_members: Mapping[bytes, bytes],
        readings: Mapping[bytes, Iterable[Reading]],
        frozen_from: Mapping[bytes, int],
        policies: Policies,
        reviews: Iterable[Review] = (),
        declared: Iterable[Declared] = (),
        wraps: Iterable[Wraps] = (),
        replacements: Iterable[Replacement] = (),
    ) -> None:
        self.settled = Settled()
        self.decided: list[Review] = []
        self._devices = [devices[device] for device in sorted(devices)]
        self._site_members = site_members
        self._frozen_from = frozen_from
        self._policies = policies
        self._by_time = {device: sorted(readings.get(device, ()), key=_time_s) for device in devices}
        self._coming = {
            device: deque(sorted((row for row in rows if row.time_s % INTERVAL_S == 0), key=_evidence_id))
            for device, rows in self._by_time.items()
        }
        self._waiting: dict[bytes, list[Reading]] = {device: [] for device in devices}
        self._last: dict[bytes, Reading] = {}
        self._unallocated: dict[int, int] = {}
        self._wraps = sorted(wraps, key=lambda wrap: wrap.index)
        self._replacements = sorted(replacements, key=lambda row: row.index)
        self._reviews = sorted(reviews, key=lambda review: review.index)
        self._held: dict[tuple[bytes, int], Span | Claim] = {}
        self._minted = 0  # claims of windows that became mints
        self._declared = list(declared)

    def close(self, closing: Closing) -> None:
        """Settle everything that was known when this interval closed."""
        released = self._review(closing)
        spans = [span for device in self._devices for span in self._spans(device, closing)]
        on_time = [
            span for span in spans if (span.start_s, span.end_s) == (closing.end_s - INTERVAL_S, closing.end_s)
        ]
        self._settle_on_time(on_time, closing.end_s)
        for span in spans:
            if span not in on_time:
                self._settle_afterwards(span, 1, closing.end_s)
                if span.end_s - span.start_s > INTERVAL_S:
                    self.settled.gap_intervals.extend(span.intervals())
        for item in sorted(released, key=_place):
            if isinstance(item, Claim):
                amount_mc = self._policies.of_interval(closing.end_s).amount_mc(item.source, item.energy_wh)
                again = replace(item, revision=2, amount_mc=amount_mc, closing_s=closing.end_s)
                self.settled.claims.append(again)
            else:
                self._settle_afterwards(item, 2, closing.end_s)
        if closing.end_s % self._policies.of_interval(closing.end_s).window_s == 0:
            self._hold_claims(closing)

    def _review(self, closing: Closing) -> list[Span | Claim]:
        """Carry the reviews out that this closing is the first to know; what they release."""
        released: list[Span | Claim] = []
        while self._reviews and self._reviews[0].index < closing.log_size:
            review = self._reviews.pop(0)
            item = self._held.pop((review.device, review.start_s), None)
            if item is None:
                continue
            self.decided.append(review)
            if review.is_granted and not self._is_heat(review.device, item.end_s):
                released.append(_corrected(item, review.energy_wh))
        return released

    def _is_heat(self, device: bytes, end_s: int) -> bool:
        """Whether a span that ends then is of a meter that counts heat and no electricity."""
        rows = [row for row in self._by_time[device] if row.time_s == end_s]
        return bool(rows) and heat_alone(min(rows, key=lambda row: row.seq))

    def hold_heat(
        self, device: Device, span_s: tuple[int, int], grown_wh: int, reason: int, closing: Closing, after: Reading
    ) -> None:
        """A span that only its heat makes hard to believe."""
        self._held[device.id, span_s[0]] = Span(device, *span_s, {HEAT_REGISTER: grown_wh}, after.block_sha256)
        self.settled.held.append((device.id, *span_s, reason, grown_wh, closing.end_s))

    def _hold_claims(self, closing: Closing) -> None:
        """Before a window becomes mints: set apart what its devices' last days make hard to believe."""
        start_s = closing.end_s - self._policies.of_interval(closing.end_s).window_s
        pasts = {device.id: self._past(device.id, closing) for device in self._devices}
        kept = self.settled.claims[: self._minted]
        new = self.settled.claims[self._minted :]
        under_review = [claim for claim in new if claim.closing_s > start_s and claim.revision < 2]
        contradictions = Contradictions(self._devices, pasts, self._declared, (start_s, closing.end_s), under_review)
        for claim in new:
            reason = None
            if claim.closing_s > start_s and claim.revision < 2:
                reason = pasts[claim.device].suspicion(claim.start_s, claim.end_s)
                if reason is None and claim.source == FROM_MATCHING and self._plugs_exceed(claim, pasts):
                    reason = PLUGS_EXCEED
                reason = reason or contradictions.of(claim)
            if reason is None:
                kept.append(claim)
                continue
            self._held[claim.device, claim.start_s] = claim
            row = (claim.device, claim.start_s, claim.end_s, reason, claim.energy_wh, closing.end_s)
            self.settled.held.append(row)
        self.settled.claims[:] = kept
        self._minted = len(kept)

    def _past(self, device: bytes, closing: Closing) -> Past:
        rows = self._by_time[device]
        first = bisect_left(rows, closing.end_s - PAST_S, key=_time_s)
        return Past(rows[first : bisect_right(rows, closing.end_s, key=_time_s)], closing)

    def _plugs_exceed(self, claim: Claim, pasts: Mapping[bytes, Past]) -> bool:
        """Whether it is so in any interval of the claim's span."""
        (site,) = (device.site for device in self._devices if device.id == claim.device)
        mains, producers, plugs = (
            [pasts[device.id] for device in self._devices if (device.site, device.role) == (site, role)]
            for role in (MAIN, PRODUCTION, SUB_METER)
        )
        starts_s = range(claim.start_s, claim.end_s, INTERVAL_S)
        return any(plugs_exceed(mains, producers, plugs, at) for at in starts_s)

    def _spans(self, device: Device, closing: Closing) -> Iterator[Span]:
        """The device's spans up to the closing that are not held; held ones are noted."""
        for reading in self._next_readings(device.id, closing):
            last = self._last.get(device.id)
            registers_wh = {**(last.registers_wh if last else {}), **reading.registers_wh}
            self._last[device.id] = replace(reading, registers_wh=registers_wh)
            if last is None or last.time_s < self._begins_s(device.id, closing):
                continue
            wraps_at_wh = self._wraps_at_wh(device.id, closing)
            growth_wh = {
                q: grown_wh(last.registers_wh[q], wh, wraps_at_wh)
                for q, wh in reading.registers_wh.items()
                if q in last.registers_wh
            }
            said_wh = 0 if reading.is_replaced else None
            span = Span(device, last.time_s, reading.time_s, growth_wh, reading.block_sha256, said_wh)
            reason = self._hold(span, reading, closing)
            if reason:
                self._held[device.id, span.start_s] = span
                energy_wh = max(-INT64_MAX, min(span.energy_wh, INT64_MAX))
                self.settled.held.append((device.id, span.start_s, span.end_s, reason, energy_wh, closing.end_s))
            else:
                yield span

    def _next_readings(self, device: bytes, closing: Closing) -> list[Reading]:
        """Known readings up to the closing after the last settled one, by time; the smaller seq counts."""
        coming, known = self._coming[device], self._waiting[device]
        while coming and coming[0].evidence_id <= closing.evidence_id_max:
            known.append(coming.popleft())
        by_time: dict[int, Reading] = {}
        still_waiting = []
        for reading in known:
            if reading.time_s > closing.end_s:
                still_waiting.append(reading)
            elif reading.time_s not in by_time or reading.seq < by_time[reading.time_s].seq:
                by_time[reading.time_s] = reading
        self._waiting[device] = still_waiting
        last_s = self._last[device].time_s if device in self._last else -1
        return [by_time[time_s] for time_s in sorted(by_time) if time_s > last_s]

    def _begins_s(self, device: bytes, closing: Closing) -> int:
        """When a device took another's place, as far as the closing knew: spans that begin before count nowhere."""
        said = [row.begins_s for row in self._replacements if row.device == device and row.index < closing.log_size]
        return said[-1] if said else 0

    def _wraps_at_wh(self, device: bytes, closing: Closing) -> int:
        """Where the registers of a device begin at 0 again, by the last entry that the closing knew; 0: never."""
        said = [wrap.at_wh for wrap in self._wraps if wrap.device == device and wrap.index < closing.log_size]
        return said[-1] if said else 0

    def _hold(self, span: Span, reading: Reading, closing: Closing) -> int | None:
        if reading.is_replaced:
            return REPLACED
        if any(growth < 0 for growth in span.growth_wh.values()):
            return BACKWARDS
        if reading.time_s > reading.received_s + FUTURE_S_MAX:
            return FUTURE
        rated_ws = span.device.rated_power_w * (span.end_s - span.start_s)
        if max(span.growth_wh.values(), default=0) > -(-rated_ws // 3600) + 1:
            return ABOVE_RATING
        if span.device.id in self._frozen_from and self._frozen_from[span.device.id] <= closing.conflict_id_max:
            return FROZEN
        return None

    def _settle_on_time(self, spans: list[Span], closing_s: int) -> None:
        mains: dict[bytes, list[Span]] = defaultdict(list)
        for span in spans:
            if span.device.role == MAIN:
                mains[span.device.site].append(span)
        nets = {site: sum(span.net_wh for span in of_site) for site, of_site in mains.items()}
        supply = sum(-net for net in nets.values() if net < 0)
        demand = sum(net for net in nets.values() if net > 0)
        matched = min(supply, demand)
        self._unallocated[closing_s] = supply - matched
        self.settled.figures[closing_s] = (supply, demand, matched, supply - matched)
        for span in spans:
            if span.device.role == PRODUCTION:
                self._claim(span, FROM_PRODUCTION, 0, span.energy_wh, closing_s)
        # A site's share is claimed under its smallest main meter; spans come by ascending device.
        weights = {mains[site][0].device.id: net for site, net in nets.items() if net > 0}
        parts = shares(matched, weights)
        for first, *_ in mains.values():
            self._claim(first, FROM_MATCHING, 0, parts.get(first.device.id, 0), closing_s)

    def _settle_afterwards(self, span: Span, revision: int, closing_s: int) -> None:
        """A gap, a late span or a released one."""
        if span.device.role == PRODUCTION:
            self._claim(span, FROM_PRODUCTION, revision, span.energy_wh, closing_s)
        elif span.device.role == MAIN:
            closed = [end_s for end_s in span.intervals() if end_s in self._unallocated]
            least = min((self._unallocated[end_s] for end_s in closed), default=0)
            matched = max(0, min(span.net_wh, least))
            for end_s in closed:
                self._unallocated[end_s] -= matched
            self._claim(span, FROM_MATCHING, revision, matched, closing_s)

    def _claim(self, span: Span, source: int, revision: int, energy_wh: int, closing_s: int) -> None:
        if energy_wh > 0:
            amount_mc = self._policies.of_interval(closing_s).amount_mc(source, energy_wh)
            account = self._site_members[span.device.site]
            place = (span.device.id, span.start_s, span.end_s, source, revision)
            proof = (span.block_sha256, span.device.grade)
            self.settled.claims.append(Claim(*place, energy_wh, amount_mc, account, closing_s, *proof))


def heat_alone(reading: Reading) -> bool:
    """Whether a reading has a register of heat and none of what was produced."""
    return HEAT_REGISTER in reading.registers_wh and EXPORT not in reading.registers_wh


def _time_s(reading: Reading) -> int:
    return reading.time_s


def _evidence_id(reading: Reading) -> int:
    return reading.evidence_id


def grown_wh(before_wh: int, after_wh: int, wraps_at_wh: int) -> int:
    """What a register grew; one that ran over where it wraps counts on."""
    return after_wh - before_wh + (wraps_at_wh if after_wh < before_wh < wraps_at_wh else 0)


def _corrected(item: Span | Claim, energy_wh: int | None) -> Span | Claim:
    """What is released, with what the steward found; a claim never with more than was allocated to it."""
    if energy_wh is None:
        return item
    if isinstance(item, Claim):
        return replace(item, energy_wh=min(item.energy_wh, energy_wh))
    return replace(item, said_wh=energy_wh)


def _place(item: Span | Claim) -> tuple[bytes, int]:
    return (item.device if isinstance(item, Claim) else item.device.id), item.start_s


def shares(total: int, weights: Mapping[bytes, int]) -> dict[bytes, int]:
    """`total` in proportion to the weights by largest remainder; ties go to the smaller id."""
    sum_of_weights = sum(weights.values())
    if sum_of_weights == 0:
        return {}
    given = {identifier: total * weight // sum_of_weights for identifier, weight in weights.items()}
    by_remainder = sorted(
        weights, key=lambda identifier: (-(total * weights[identifier] % sum_of_weights), identifier)
    )
    for identifier in by_remainder[: total - sum(given.values())]:
        given[identifier] += 1
    return given
