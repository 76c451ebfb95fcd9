"""What a window brings beside production and matching (docs/spec/settlement.md, "Heat" to "Declared values")."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from commonwatt.demo.judge.book import Book
from commonwatt.demo.judge.evidence import Closing, Evidence
from commonwatt.demo.judge.heat import Heat
from commonwatt.demo.judge.known import Measured, Site, sites_of
from commonwatt.demo.judge.policies import DECLARED, HEAT, SAVINGS, SHIFTING, Policies, Policy
from commonwatt.demo.judge.saved import released_wh
from commonwatt.demo.judge.season import Season
from commonwatt.demo.judge.settle import Claim, Settlement
from commonwatt.demo.judge.stated import Part, Statement, concerns, confirmed, parts, requests, statements
from commonwatt.units import INTERVAL_S

DAY_S = 86_400
LOOK_BACK_DAYS, COMPARABLE_MIN = 60, 4
LATE, NOT_MEASURED, FEW_DAYS = 1, 2, 3  # why shifting tells nothing


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the table `told`: what a site was told of a period or an event."""

    source: int
    site: bytes
    start_s: int
    revision: int
    end_s: int
    reason: int
    expected_wh: int
    used_wh: int
    credited_wh: int
    held_wh: int
    closing_s: int


class Earnings:
    """Goes from window to window, in order. `feeders`: by site."""

    def __init__(self, book: Book, evidence: Evidence, policies: Policies, feeders: Mapping[bytes, bytes]) -> None:
        self.claims: list[Claim] = []
        self.told: list[Told] = []
        self._book = book
        self._measured = Measured(evidence.readings)
        self._weather = evidence.weather
        self._policies = policies
        self._feeders = feeders
        self._statements = statements(book)
        self._heat = Heat(book, self._measured, evidence.frozen_from)
        self._paid: set[bytes] = set()

    def close(self, closing: Closing, settlement: Settlement) -> None:
        """Look at the window whose last interval has closed; nothing if this was not its last."""
        policy = self._policies.of_interval(closing.end_s)
        self._heat.know(closing)
        if closing.end_s % policy.window_s:
            return
        said = [row for row in self._statements if row.index < closing.log_size]
        sites = sites_of(self._book.devices.values(), self._book.site_members, self._feeders, closing)
        if HEAT in policy.sources:
            self.claims += self._heat.close(closing, policy, settlement)
        if policy.declared:
            self.claims += self._declared(said, closing, policy)
        if SHIFTING in policy.sources:
            self.claims += self._shifting(requests(said), sites, closing, policy)
        if SAVINGS in policy.sources:
            taking = parts(said, self._book.site_members)
            self.claims += self._savings(taking, sites, closing, policy)

    def _declared(self, said: Sequence[Statement], closing: Closing, policy: Policy) -> Iterator[Claim]:
        for value, confirmation in confirmed(said):
            terms = policy.declared.get(value.what)
            if terms is None or value.sha256 in self._paid or value.number == 0:
                continue
            age_s = confirmation.time_s - value.end_s
            if not -INTERVAL_S <= age_s <= int(terms.table.get("age_days_max", 90)) * DAY_S:
                continue
            self._paid.add(value.sha256)
            place = (value.sha256[:16], value.start_s, value.end_s, DECLARED, 0)
            amount_mc = value.number * terms.rate_mc // 1000
            yield Claim(*place, 0, amount_mc, value.subject, closing.end_s, value.sha256, 3, value.what)

    def _shifting(
        self, asked: Sequence[Statement], sites: Sequence[Site], closing: Closing, policy: Policy
    ) -> Iterator[Claim]:
        notice_s = int(policy.sources[SHIFTING].table.get("notice_s", 7200))
        for request in asked:
            if not closing.end_s - policy.window_s < request.end_s <= closing.end_s:
                continue
            for site in sites:
                if not concerns(request, site.feeder):
                    continue
                if request.time_s > request.start_s - notice_s:
                    answer = (LATE, 0, 0, 0)
                else:
                    answer = self._shifted(request, asked, site, closing, policy)
                place = (SHIFTING, site.id, request.start_s, 0, request.end_s)
                self.told.append(Told(*place, *answer, 0, closing.end_s))
                yield from self._of_site(site, self.told[-1], answer[-1], closing)

    def _shifted(
        self, request: Statement, asked: Sequence[Statement], site: Site, closing: Closing, policy: Policy
    ) -> tuple[int, int, int, int]:
        """Why not, usual, used and credited Wh."""
        table = policy.sources[SHIFTING].table
        used_wh = self._measured.used_wh(site.devices, request.start_s, request.end_s, closing)
        if used_wh is None:
            return NOT_MEASURED, 0, 0, 0
        days = self._comparable(request, asked, site, closing, policy, int(table.get("days", 10)))
        if len(days) < COMPARABLE_MIN:
            return FEW_DAYS, 0, 0, 0
        sign = 1 if request.what == "peak" else -1
        usual_wh = sum(days) // len(days)
        errors = sorted(sign * ((sum(days) - wh) // (len(days) - 1) - wh) for wh in days)
        sure = -(-len(days) * int(table.get("sure_permille", 900)) // 1000)
        credited_wh = sign * (usual_wh - used_wh) - max(0, errors[sure - 1])
        return 0, usual_wh, used_wh, max(0, credited_wh)

    def _comparable(
        self, request: Statement, asked: Sequence[Statement], site: Site, closing: Closing, policy: Policy, most: int
    ) -> list[int]:
        """What the site used in the same local hours on days of the same kind, the nearest first."""
        first = datetime.fromtimestamp(request.start_s, policy.zone)
        found: list[int] = []
        for back in range(1, LOOK_BACK_DAYS + 1):
            there = first - timedelta(days=back)  # by the clock on the wall
            start_s = int(there.timestamp())
            end_s = start_s + request.end_s - request.start_s
            is_alike = (there.weekday() > 4) == (first.weekday() > 4)
            was_asked = any(
                concerns(row, site.feeder) and row.start_s < end_s and start_s < row.end_s for row in asked
            )
            if is_alike and not was_asked and len(found) < most:
                wh = self._measured.used_wh(site.devices, start_s, end_s, closing)
                found += [] if wh is None else [wh]
        return found

    def _savings(
        self, taking: Sequence[Part], sites: Sequence[Site], closing: Closing, policy: Policy
    ) -> Iterator[Claim]:
        """Periods that ended in the window, and after some of them all again as one."""
        season = Season(self._measured, taking, sites, closing, policy, self._weather)
        for period in season.due():
            for site, answer in season.measured(period).items():
                before = self._told_of(SAVINGS, site.id, period.start_s, period.end_s)
                credited_wh, held_wh = answer.credited_wh, answer.held_wh
                if period.is_true_up:
                    kept_wh = sum(row.held_wh for row in before)
                    if not kept_wh:
                        continue
                    credited_wh = released_wh(sum(row.credited_wh for row in before), kept_wh, answer)
                    earned_wh, held_wh = credited_wh, 0
                else:
                    peaks = self._told_of(SHIFTING, site.id, period.start_s, period.end_s)
                    earned_wh = credited_wh - sum(row.credited_wh for row in peaks if row.expected_wh > row.used_wh)
                place = (SAVINGS, site.id, period.start_s, int(period.is_true_up), period.end_s)
                figures = (answer.reason, answer.expected_wh, answer.used_wh, credited_wh, held_wh)
                self.told.append(Told(*place, *figures, closing.end_s))
                yield from self._of_site(site, self.told[-1], earned_wh, closing)

    def _of_site(self, site: Site, told: Told, energy_wh: int, closing: Closing) -> Iterator[Claim]:
        """A line under the site's first main meter, by the block that gave its last reading up to the end."""
        reading = self._measured.last(site.mains[0].id, told.end_s, closing)
        if energy_wh > 0 and reading is not None:
            place = (site.mains[0].id, told.start_s, told.end_s, told.source, told.revision)
            sha256 = reading.block_sha256
            yield Claim(*place, energy_wh, 0, site.account, closing.end_s, sha256, site.mains[0].grade)

    def _told_of(self, source: int, site: bytes, start_s: int, end_s: int) -> list[Told]:
        """What was told of periods and events within a span."""
        return [
            row
            for row in self.told
            if (row.source, row.site, row.revision) == (source, site, 0)
            and start_s <= row.start_s
            and row.end_s <= end_s
        ]
