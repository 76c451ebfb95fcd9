"""Closes intervals in order, each once, in the transaction that records what was known (docs/spec/settlement.md).

The decisions are pure (settlement, interval, valuation); this module reads what they need and writes what they say.
A crash before the commit leaves the interval open, a crash after it leaves it closed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.commune.enacted import Known
from aggregator.commune.registry import Directory
from aggregator.earning import heat_rows
from aggregator.earning import window as earning
from aggregator.earning.window import Window
from aggregator.evidence import store
from aggregator.evidence.days import Days
from aggregator.minting import outbox as minting
from aggregator.minting import valuation, valuation_columns
from aggregator.observe.stages import SETTLE, VALUE, Stages
from aggregator.plausibility.declared import Declared
from aggregator.policy.rules import Policy
from aggregator.policy.schedule import Schedule
from aggregator.settling import (
    claim_pages,
    claims,
    declarations,
    interval_columns,
    meters,
    open_readings,
    settled_pages,
)
from aggregator.settling.claim_pages import Claims
from aggregator.settling.interval import ON_TIME, HeldSpan, reviewed_wh, touched_ends_s
from aggregator.settling.interval_columns import Closed, Commune
from aggregator.settling.reviews import Review
from aggregator.settling.settlement import Span
from aggregator.settling.settlement_columns import Spans, settle
from aggregator.sql import Database, upsert
from commonwatt.clock import Civil
from commonwatt.lookup import distinct
from commonwatt.page import Integers
from commonwatt.refusal import Hold
from commonwatt.units import INTERVAL_S, interval_start_s

CLOSINGS_PER_COMMIT = 96
"""A day's intervals at most before receipts have their turn again."""


@dataclass(frozen=True, slots=True)
class _Evident:
    """What a closing may look at: everything committed before it."""

    evidence_id_max: int
    conflict_id_max: int
    frozen: tuple[bytes, ...]


class Closer:
    """Closes what is due. `known`: what the log says; `genesis_s`: civil time of the genesis entry; the first
    interval is the one it lies in. `declared`: what sites say of themselves now; none: what they said before."""

    def __init__(
        self,
        *,
        database: Database,
        known: Known,
        genesis_s: int,
        clock: Civil,
        declared: Mapping[bytes, Declared] | None = None,
        stages: Stages | None = None,
    ) -> None:
        self._database = database
        self._known = known
        self._clock = clock
        self._stages = stages or Stages()
        self._days = Days(database=database, clock=clock)
        with database.transaction() as connection:
            last_s = connection.scalar(sa.select(sa.func.max(schema.closing.c.end_s)))
            read = connection.scalar(sa.select(sa.func.max(schema.closing.c.log_size))) or 0
            self.schedule = Schedule.of(known.policies, _closed_before(connection))
            if declared is not None:
                declarations.remember(connection, declared, from_s=last_s or 0)
        # Reviews that no closing knew yet: the next one carries them out.
        self._reviews = tuple(review for review in known.reviews if review.place >= read)
        self._meters: tuple[Directory, meters.Meters] | None = None
        self.next_end_s: int = INTERVAL_S + (interval_start_s(genesis_s) if last_s is None else last_s)

    def learn(self, known: Known, declared: Mapping[bytes, Declared]) -> None:
        """Know what came into the log since, and what sites say of themselves: the next closing carries it out."""
        self._reviews += tuple(review for review in known.reviews if review.place >= self._known.size)
        self._known = known
        with self._database.transaction() as connection:
            self.schedule = Schedule.of(known.policies, _closed_before(connection))
            declarations.remember(connection, declared, from_s=self.next_end_s - INTERVAL_S)

    @property
    def known(self) -> Known:
        """What the log said when it was read last."""
        return self._known

    @property
    def last_end_s(self) -> int:
        """End of the last interval closed; the genesis' own beginning before the first."""
        return self.next_end_s - INTERVAL_S

    @property
    def policy(self) -> Policy:
        """The one of the interval that closes next."""
        return self.schedule.at(self.last_end_s)

    @property
    def due_s(self) -> int:
        """Civil time at which the next interval may be closed."""
        return self.next_end_s + self.policy.rules.grace_s

    def step(self, directory: Directory) -> int:
        """Close the intervals whose grace is over, a bounded number at once; how many were closed. When none is due,
        evidence of days that are over is laid."""
        now_s = self._clock.now_s()
        due = self._due(now_s)
        if not due:
            self._days.step(self.schedule)
            return 0
        with self._stages.timed(SETTLE), self._database.transaction() as connection:
            evident = _evident(connection)
            commune = self._commune(connection, directory, evident)
            released = _review(connection, self._reviews)
            for end_s, policy in due:
                self._close(connection, end_s, policy, evident, commune, released)
                released = []
                if end_s % policy.rules.window_s == 0:
                    window_start_s = end_s - policy.rules.window_s
                    claims.hold_suspicious(
                        connection,
                        commune.columns,
                        directory.meters,
                        (window_start_s, end_s),
                        evident.evidence_id_max,
                    )
                    window = Window(end_s, policy, directory.meters, self._known, evident.evidence_id_max)
                    with self._stages.timed(VALUE):
                        further = earning.collect(connection, window, frozenset(evident.frozen))
                        known = self._known.corrections
                        minting.prepare(connection, end_s, policy, commune.columns, further, known, time_s=int(now_s))
        self._reviews = ()
        self.next_end_s = due[-1][0] + INTERVAL_S
        return len(due)

    def _commune(self, connection: sa.Connection, directory: Directory, evident: _Evident) -> Commune:
        """Who has meters, in columns that are made again when the directory is another."""
        if self._meters is None or self._meters[0] is not directory:
            self._meters = directory, meters.of(connection, directory.meters)
        known = numbers.of(connection)
        frozen = known.of(connection, numbers.octets(evident.frozen))
        return Commune(known, self._meters[1], directory.meters, frozen)

    def _due(self, now_s: float) -> list[tuple[int, Policy]]:
        """Ends of the intervals whose grace is over, each with the policy of its window. In order: one whose policy
        has a shorter grace waits for those before it."""
        due: list[tuple[int, Policy]] = []
        end_s = self.next_end_s
        policy = self.schedule.at(end_s - INTERVAL_S)
        while end_s + policy.rules.grace_s <= now_s and len(due) < CLOSINGS_PER_COMMIT:
            due.append((end_s, policy))
            end_s += INTERVAL_S
            policy = self.schedule.at(end_s - INTERVAL_S)
        return due

    def _close(
        self,
        connection: sa.Connection,
        end_s: int,
        policy: Policy,
        evident: _Evident,
        commune: Commune,
        released: list[HeldSpan],
    ) -> None:
        closed = interval_columns.close(
            end_s,
            _counted(self._settle(connection, end_s), self._known.begins_s, commune.numbers),
            commune=commune,
            unallocated_wh=lambda spans: _unallocated_wh(connection, spans),
            released=released,
        )
        _record(connection, end_s, evident, self._known.size, closed)
        with self._stages.timed(VALUE):
            claim_pages.add(connection, _on_time(closed, end_s, policy))
            if closed.claims:
                amounts_mc = [valuation.amount_mc(claim, policy.rules) for claim in closed.claims]
                claim_pages.add(connection, claim_pages.of(connection, closed.claims, amounts_mc, end_s))
        if closed.held:
            connection.execute(sa.insert(schema.held), [_held_row(held, end_s) for held in closed.held])

    def _settle(self, connection: sa.Connection, end_s: int) -> Spans:
        """Take every known reading up to `end_s` into its device's account; the spans that they complete."""
        readings = open_readings.take(connection, end_s)
        accounts = settled_pages.load(connection, distinct(readings.devices))
        wraps_at_wh = np.zeros(len(accounts.devices), dtype=np.int64)
        declared = numbers.of(connection).find(numbers.octets(self._known.wraps_at_wh))
        for device, at_wh in zip(declared.tolist(), self._known.wraps_at_wh.values(), strict=True):
            wraps_at_wh[accounts.devices == device] = at_wh
        spans = settle(accounts, readings, wraps_at_wh)
        if len(readings):
            settled_pages.save(connection, accounts)
        return spans


def _on_time(closed: Closed, end_s: int, policy: Policy) -> Claims:
    """The claims of the closing interval itself, valued."""
    found = closed.on_time

    def everywhere(value: int) -> Integers:
        return np.full(len(found.devices), value)

    return Claims(
        *(found.devices, everywhere(end_s - INTERVAL_S), everywhere(end_s), found.sources, everywhere(ON_TIME)),
        found.energy_wh,
        valuation_columns.amounts_mc(found.sources, found.energy_wh, policy.rules),
        *(found.accounts, found.evidence_ids, everywhere(end_s)),
    )


def _review(connection: sa.Connection, reviews: Iterable[Review]) -> list[HeldSpan]:
    """Note what was decided of the spans that wait; those released, but for heat's, which earns when the window
    closes. The first review of a span is the one."""
    held = schema.held.c
    released: list[HeldSpan] = []
    for review in reviews:
        is_it = sa.and_(held.device == review.device, held.start_s == review.start_s, held.review_place.is_(None))
        row = connection.execute(sa.select(schema.held).where(is_it)).one_or_none()
        if row is None:
            continue
        decided = {"review_place": review.place, "is_released": int(review.is_granted)}
        connection.execute(sa.update(schema.held).where(is_it).values(decided))
        if review.is_granted and not heat_rows.counts_heat_alone(connection, row.device, row.end_s):
            reason = Hold(row.reason)
            energy_wh = reviewed_wh(reason, row.energy_wh, review.energy_wh)
            released.append(HeldSpan(row.device, row.start_s, row.end_s, reason, energy_wh, row.evidence_id))
    return released


def _closed_before(connection: sa.Connection) -> Callable[[int], int]:
    """End of the last interval that closed before the entry at a place was known."""
    closing = schema.closing.c

    def closed_s(place: int) -> int:
        return connection.scalar(sa.select(sa.func.max(closing.end_s)).where(closing.log_size <= place)) or 0

    return closed_s


def _evident(connection: sa.Connection) -> _Evident:
    conflict_id_max = connection.scalar(sa.select(sa.func.max(schema.conflict.c.id)))
    frozen = connection.execute(sa.select(schema.conflict.c.device).distinct()).scalars()
    return _Evident(store.last_id(connection), conflict_id_max or 0, tuple(frozen))


def _counted(spans: Spans, begins_s: Mapping[bytes, int], known: numbers.Numbers) -> Spans:
    """Without what meters that came in place of others measured beside them, before `begins_s`."""
    if not begins_s:
        return spans
    replacing = known.find(numbers.octets(begins_s))
    is_known = replacing != numbers.NONE
    earliest_s = np.zeros(len(known), dtype=np.int64)
    earliest_s[replacing[is_known]] = np.fromiter(begins_s.values(), dtype=np.int64)[is_known]
    return spans.where(spans.starts_s >= earliest_s[spans.devices])


def _unallocated_wh(connection: sa.Connection, afterwards: Iterable[Span | HeldSpan]) -> dict[int, int]:
    """What the closed intervals that gaps, late and released spans touch still have."""
    first_s = min(touched_ends_s(span)[0] for span in afterwards)
    pool = schema.pool.c
    rows = connection.execute(sa.select(pool.end_s, pool.left_wh).where(pool.end_s >= first_s))
    return {row.end_s: row.left_wh for row in rows}


def _record(connection: sa.Connection, end_s: int, evident: _Evident, log_size: int, closed: Closed) -> None:
    pool = closed.pool
    row = {
        "end_s": end_s,
        "evidence_id_max": evident.evidence_id_max,
        "conflict_id_max": evident.conflict_id_max,
        "supply_wh": pool.supply_wh,
        "demand_wh": pool.demand_wh,
        "matched_wh": pool.matched_wh,
        "unallocated_wh": pool.unallocated_wh,
        "log_size": log_size,
    }
    connection.execute(sa.insert(schema.closing), row)
    behind = {
        "sites": closed.sites,
        "largest_supply_wh": closed.largest_supply_wh,
        "largest_demand_wh": closed.largest_demand_wh,
        "second_supply_wh": closed.second_supply_wh,
        "second_demand_wh": closed.second_demand_wh,
    }
    left = [{"end_s": end, "left_wh": wh, **behind} for end, wh in closed.left_wh.items()]
    connection.execute(upsert(schema.pool, keep=behind), left)


def _held_row(held: HeldSpan, end_s: int) -> dict[str, Any]:
    return {
        "device": held.device,
        "start_s": held.start_s,
        "end_s": held.end_s,
        "reason": int(held.reason),
        "energy_wh": held.energy_wh,
        "closing_s": end_s,
        "evidence_id": held.evidence_id,
    }
