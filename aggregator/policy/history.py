"""Reads what a commune settled from its database and log, read-only, so that the aggregator may be running."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from aggregator import schema
from aggregator.commune.places import Places
from aggregator.commune.registry import Directory
from aggregator.earning import declared, heat, saving_rows, shifting_rows, weather_rows
from aggregator.earning.earned import Earned
from aggregator.earning.local_time import Integers, day_of, start_of
from aggregator.earning.saving_rows import Told
from aggregator.earning.window import sites_of
from aggregator.earning.worth import ClaimColumns
from aggregator.policy.replay import Measured
from aggregator.policy.rules import Rules
from aggregator.reading import reading
from aggregator.settling import claim_pages, history
from aggregator.settling.claim_pages import Claims
from aggregator.settling.interval import Meter
from aggregator.statements import requests
from aggregator.statements.declaring import stated_in
from aggregator.statements.values import Stated, confirmed
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.quantities import IMPORT
from ledger.app import LOG
from ledger.book import mint
from ledger.book.kinds import DeviceRole, Grade
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog


@dataclass(frozen=True, slots=True)
class History:
    """What each of some policies would value of the intervals that closed in `(start_s, end_s]`, civil seconds."""

    start_s: int
    end_s: int
    measured: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class _Past:
    """What the log says, and what was settled of production and matching."""

    start_s: int
    end_s: int
    meters: Mapping[bytes, Meter]
    stated: Sequence[Stated]
    settled: Measured


def read(directory: Path, last_s: int, policies: Sequence[Rules], *, database_url: str = "") -> History:
    """The `last_s` seconds before the last closing as each policy sees them. UserError if nothing can be read."""
    with reading(directory, database_url) as connection:
        meters, stated = _log(directory)
        end_s = connection.scalar(sa.select(sa.func.max(schema.closing.c.end_s)))
        if end_s is None:
            raise UserError(_("no interval has closed yet"), where=directory, to_do=_("wait until one has"))
        start_s = end_s - last_s
        from_s = min(_caps_begin_s(rules, start_s) for rules in policies)
        claims = claim_pages.joined([(at, data) for at, data in connection.execute(_CLAIMS, {"start_s": from_s})])
        names = list(connection.execute(sa.select(schema.number.c.id).order_by(schema.number.c.number)).scalars())
        claims = _corrected(connection, claims, names)
        grades = {device: int(meter.grade) for device, meter in meters.items()}
        past = _Past(from_s, end_s, meters, stated, _measured(claims, names, grades))
        found = (_with_further(connection, past, rules) for rules in policies)
        measured = tuple(replace(of_policy, counts_from_s=start_s) for of_policy in found)
    return History(start_s, end_s, measured)


_page = schema.claim_page.c
_CLAIMS = (
    sa.select(_page.closing_s, _page.columns)
    .where(_page.closing_s > sa.bindparam("start_s"))
    .order_by(_page.closing_s, _page.part)
)


def _caps_begin_s(rules: Rules, start_s: int) -> int:
    """From when on something may have been used of the caps that hold at a time."""
    terms = [*rules.sources.values(), *rules.declared.values()]
    spans = {span for row in terms for span, _cap_mc in row.caps}
    day = day_of(start_s, rules.zone)
    if "month" in spans:
        return start_of(day.replace(day=1), rules.zone)
    return start_of(day, rules.zone) if "day" in spans else start_s


def _corrected(connection: sa.Connection, claims: Claims, names: list[bytes]) -> Claims:
    """The claims with what corrections left of them."""
    number = {name: place for place, name in enumerate(names)}
    energy_wh = claims.energy_wh.copy()
    for taken in connection.execute(_CORRECTED):
        at = (claims.device == number[taken.device]) & (claims.start_s == taken.start_s)
        left_wh = int(taken.wh)
        for row in np.flatnonzero(at & (claims.source == taken.source)).tolist():
            part_wh = min(int(energy_wh[row]), left_wh)
            energy_wh[row] -= part_wh
            left_wh -= part_wh
    return replace(claims, energy_wh=energy_wh)


_corrected_of = schema.corrected.c
_CORRECTED = sa.select(
    *(_corrected_of.device, _corrected_of.start_s, _corrected_of.source),
    (-sa.func.sum(_corrected_of.energy_wh)).label("wh"),
).group_by(_corrected_of.device, _corrected_of.start_s, _corrected_of.source)


def _log(directory: Path) -> tuple[Mapping[bytes, Meter], list[Stated]]:
    """Meters by device and statements, as the published log has them."""
    if not (directory / LOG).exists():
        return {}, []
    state = replay_slots(PublishedLog(directory / LOG).slots())
    return Directory.of(state, Places.read(directory)).meters, stated_in(directory)


def _measured(claims: Claims, names: list[bytes], grades: dict[bytes, int]) -> Measured:
    """Claims by the beginning of their span, then device, then revision, with the accounts in their order."""
    by_number = np.array([grades.get(name, Grade.DEVICE) for name in names], dtype=np.int64)
    rank = np.empty(len(names), dtype=np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    claims = claims.where(np.lexsort((claims.revision, rank[claims.device], claims.start_s)))
    found = np.unique(claims.account)
    holders = found[np.argsort(rank[found])]
    place = np.zeros(len(names), dtype=np.int64)
    place[holders] = np.arange(len(holders))
    columns = ClaimColumns(
        accounts=place[claims.account],
        sources=claims.source,
        starts_s=claims.start_s,
        ends_s=claims.end_s,
        energies_wh=claims.energy_wh,
        grades=by_number[claims.device],
        closings_s=claims.closing_s,
    )
    return Measured(tuple(names[number] for number in holders.tolist()), columns)


def _with_further(connection: sa.Connection, past: _Past, rules: Rules) -> Measured:
    """What was settled, and what these rules find beside it."""
    further = list(_further(connection, past, rules))
    given = tuple(_given(past, rules))
    settled = past.settled
    if not further and not given:
        return settled
    earners = {row.account for row in further} | {row.account for row, _time_s in given}
    accounts = sorted({*settled.accounts, *earners})
    number = {account: place for place, account in enumerate(accounts)}
    place = np.array([number[account] for account in settled.accounts], dtype=np.int64)
    more = ClaimColumns.of(
        (number[row.account], row.source, row.start_s, row.end_s, row.energy_wh, row.grade, row.end_s)
        for row in further
    )
    old = replace(settled.claims, accounts=place[settled.claims.accounts])
    names = [field.name for field in fields(ClaimColumns)]
    claims = ClaimColumns(**{name: np.concatenate([getattr(old, name), getattr(more, name)]) for name in names})
    return Measured(tuple(accounts), claims, given)


def _further(connection: sa.Connection, past: _Past, rules: Rules) -> Iterator[Earned]:
    """What is measured in energy beside claims, as these rules do."""
    if rules.heat is not None:
        for meter in past.meters.values():
            if meter.role is DeviceRole.PRODUCTION:
                readings = history.readings(connection, meter.device, past.start_s, past.end_s)
                yield from heat.earned(meter, readings, is_frozen=False)
    yield from _of_sites(connection, past, rules)


def _of_sites(connection: sa.Connection, past: _Past, rules: Rules) -> Iterator[Earned]:
    """What homes shifted and saved; true-ups look at the periods of this very replay."""
    sites = sites_of(past.meters)
    span = (past.start_s, past.end_s)

    def growth(devices: Sequence[bytes], start_s: int, end_s: int) -> Integers:
        return history.growth(connection, devices, IMPORT.number, start_s, end_s)

    def earned(site: bytes, source: int, start_s: int, end_s: int, energy_wh: int) -> Earned:
        meter = past.meters[next(row for row in sites if row.site == site).mains[0]]
        return Earned(meter.account, source, meter.device, start_s, end_s, 0, energy_wh, b"", meter.grade)

    shifted: list[tuple[bytes, int, int]] = []
    for request, moved in shifting_rows.events(requests.of(past.stated), sites, rules, growth, *span):
        for site, answer in moved.items():
            if request.is_peak:
                shifted.append((site, request.start_s, answer.credited_wh))
            yield earned(site, mint.SOURCE_SHIFTING, request.start_s, request.end_s, answer.credited_wh)
    told: list[Told] = []

    def earlier(site: bytes, start_s: int, end_s: int) -> tuple[int, int]:
        rows = [row.saving for row in told if row.site == site and start_s <= row.start_s and row.end_s <= end_s]
        return sum(saving.credited_wh for saving in rows), sum(saving.held_wh for saving in rows)

    holders = {meter.site: meter.account for meter in past.meters.values()}
    taking = saving_rows.parts(past.stated, holders)
    station = rules.savings.station if rules.savings is not None else ""

    def outdoor(days: Sequence[date]) -> list[int | None]:
        return weather_rows.of(connection, station, days)

    for row in saving_rows.due(taking, sites, rules, growth, span, earlier, outdoor):
        moved_wh = sum(wh for site, at_s, wh in shifted if site == row.site and row.start_s <= at_s < row.end_s)
        saved_wh = row.released_wh if row.revision else max(0, row.saving.credited_wh - moved_wh)
        if not row.revision:
            told.append(row)
        yield earned(row.site, mint.SOURCE_SAVINGS, row.start_s, row.end_s, saved_wh)


def _given(past: _Past, rules: Rules) -> Iterator[tuple[Earned, int]]:
    times_s = {value.statement: value.time_s for value, _declarer, _confirmer in confirmed(past.stated)}
    for statement, row in declared.earned(past.stated, rules):
        if past.start_s < times_s[statement] <= past.end_s:
            yield row, times_s[statement]
