"""What a window brings beside production and matching: collected when its last interval has closed, valued, minted.

The decisions are pure (heat, declared); this module reads what they need and keeps what they said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.commune.enacted import Known
from aggregator.earning import closing, declared, heat_rows, saving_rows, shifting_rows, weather_rows
from aggregator.earning.earned import Earned, Further
from aggregator.earning.local_time import Integers
from aggregator.earning.proofs import Proofs
from aggregator.earning.shifting_rows import Growth, Site
from aggregator.earning.worth import CapKey, ClaimColumns, capped, worth
from aggregator.policy.rules import Policy, Rules
from aggregator.settling import history
from aggregator.settling.claim_pages import Claims
from aggregator.settling.interval import Meter
from aggregator.sql import upsert
from aggregator.statements import requests
from commonwatt.quantities import IMPORT
from commonwatt.units import INTERVAL_S
from ledger.book import mint
from ledger.book.kinds import DeviceRole


@dataclass(frozen=True, slots=True)
class Window:
    """A window whose last interval has just closed, and what may be looked at: evidence up to an id, the log that was
    read, meters by device."""

    end_s: int
    policy: Policy
    meters: Mapping[bytes, Meter]
    known: Known
    evidence_id_max: int

    @property
    def start_s(self) -> int:
        """Its beginning."""
        return self.end_s - self.policy.rules.window_s


def collect(connection: sa.Connection, window: Window, frozen: frozenset[bytes]) -> Further | None:
    """What was earned, with final amounts, noted as earned; None if nothing was. `frozen`: devices that signed two
    histories."""
    rules = window.policy.rules
    parts = (_heat(connection, window, frozen), _declared(connection, window))
    rows = [row for part in (*parts, _shifting(connection, window), _savings(connection, window)) for row in part]
    if not rows:
        return None
    rows.sort(key=lambda row: (row.start_s, row.thing, row.revision))
    amounts_mc = _amounts_mc(connection, rows, rules, window)
    kept = [
        {**_key(row), "end_s": row.end_s, "account": row.account, "energy_wh": row.energy_wh, "amount_mc": amount_mc}
        | {"proof": row.proof, "closing_s": window.end_s}
        for row, amount_mc in zip(rows, amounts_mc, strict=True)
    ]
    connection.execute(sa.insert(schema.earned), kept)
    return Further(_claims(connection, rows, amounts_mc, window.end_s), [row.proof for row in rows])


def _heat(connection: sa.Connection, window: Window, frozen: frozenset[bytes]) -> Iterator[Earned]:
    """What heat meters counted."""
    if window.policy.rules.heat is None:
        return iter(())
    span = (window.start_s, window.end_s)
    return heat_rows.earned(connection, window.meters, window.known, span, frozen, window.evidence_id_max)


def _declared(connection: sa.Connection, window: Window) -> Iterator[Earned]:
    """Values that were confirmed and not paid yet."""
    if not window.policy.rules.declared:
        return
    paid = sa.select(schema.earned.c.thing).where(schema.earned.c.source == mint.SOURCE_DECLARED)
    done = set(connection.execute(paid).scalars())
    for _statement, row in declared.earned(window.known.stated, window.policy.rules):
        if row.thing not in done:
            yield row


def _shifting(connection: sa.Connection, window: Window) -> Iterator[Earned]:
    """What homes moved in the events that ended in the window; each is told."""
    if window.policy.rules.shifting is None:
        return
    asked = requests.of(window.known.stated)
    sites = sites_of(window.meters)
    found = shifting_rows.events(
        *(asked, sites, window.policy.rules, _growth(connection, window), window.start_s, window.end_s)
    )
    for request, moved in found:
        for site in sites:
            if (answer := moved.get(site.site)) is None:
                continue
            span = (request.start_s, request.end_s)
            figures = (answer.reason or 0, answer.usual_wh, answer.used_wh, answer.credited_wh, 0)
            _tell(connection, window, mint.SOURCE_SHIFTING, site.site, span, 0, figures)
            if answer.credited_wh:
                yield _of_site(connection, window, site, mint.SOURCE_SHIFTING, span, 0, answer.credited_wh)


def _savings(connection: sa.Connection, window: Window) -> Iterator[Earned]:
    """What homes saved in the periods that ended in the window, and what true-ups released; each is told."""
    if window.policy.rules.savings is None:
        return
    station = window.policy.rules.savings.station
    sites = sites_of(window.meters)
    holders = {meter.site: meter.account for meter in window.meters.values()}
    taking = saving_rows.parts(window.known.stated, holders)
    by_id = {site.site: site for site in sites}
    found = saving_rows.due(
        *(taking, sites, window.policy.rules, _growth(connection, window), (window.start_s, window.end_s)),
        lambda site, start_s, end_s: _told_wh(connection, site, start_s, end_s),
        lambda days: weather_rows.of(connection, station, days),
    )
    for told in found:
        saving, span = told.saving, (told.start_s, told.end_s)
        if told.revision:
            energy_wh = told.released_wh
            figures = (saving.reason or 0, saving.expected_wh, saving.used_wh, told.released_wh, 0)
        else:
            energy_wh = max(0, saving.credited_wh - _shifted_wh(connection, told.site, *span))
            figures = (saving.reason or 0, saving.expected_wh, saving.used_wh, saving.credited_wh, saving.held_wh)
        _tell(connection, window, mint.SOURCE_SAVINGS, told.site, span, told.revision, figures)
        if energy_wh:
            yield _of_site(connection, window, by_id[told.site], mint.SOURCE_SAVINGS, span, told.revision, energy_wh)


def sites_of(meters: Mapping[bytes, Meter]) -> list[Site]:
    """Every site that has a main meter, ascending."""
    mains: dict[bytes, list[Meter]] = {}
    for meter in meters.values():
        if meter.role is DeviceRole.MAIN:
            mains.setdefault(meter.site, []).append(meter)
    return [
        Site(site, tuple(sorted(meter.device for meter in of_site)), of_site[0].feeder)
        for site, of_site in sorted(mains.items())
    ]


def _growth(connection: sa.Connection, window: Window) -> Growth:
    """The past as this closing knows it."""

    def growth(devices: Sequence[bytes], start_s: int, end_s: int) -> Integers:
        return history.growth(
            connection, devices, IMPORT.number, start_s, end_s, evidence_id_max=window.evidence_id_max
        )

    return growth


def _of_site(
    connection: sa.Connection,
    window: Window,
    site: Site,
    source: int,
    span: tuple[int, int],
    revision: int,
    energy_wh: int,
) -> Earned:
    """Earned under the site's first main meter, by the block that gave its last reading up to the end."""
    meter = window.meters[site.mains[0]]
    blocks = Proofs(connection, meter.device, *span, evidence_id_max=window.evidence_id_max)
    proof = blocks.of(span[1])
    return Earned(meter.account, source, meter.device, *span, revision, energy_wh, proof, meter.grade)


def _tell(
    connection: sa.Connection,
    window: Window,
    source: int,
    site: bytes,
    span: tuple[int, int],
    revision: int,
    figures: tuple[int, int, int, int, int],
) -> None:
    """Keep what a site is told: reason, expected, used, credited and held Wh."""
    row = (source, site, span[0], revision, span[1], *figures, window.end_s)
    names = [column.name for column in schema.told.c]
    connection.execute(upsert(schema.told), dict(zip(names, row, strict=True)))


def _told_wh(connection: sa.Connection, site: bytes, start_s: int, end_s: int) -> tuple[int, int]:
    """Wh credited and held for a site's periods in a span."""
    table = schema.told.c
    is_it = (table.source == mint.SOURCE_SAVINGS, table.site == site, table.revision == 0)
    query = sa.select(sa.func.sum(table.credited_wh), sa.func.sum(table.held_wh)).where(*is_it)
    paid_wh, held_wh = connection.execute(query.where(table.start_s >= start_s, table.end_s <= end_s)).one()
    return int(paid_wh or 0), int(held_wh or 0)


def _shifted_wh(connection: sa.Connection, site: bytes, start_s: int, end_s: int) -> int:
    """Wh less than usual that shifting has paid for already in a span."""
    table = schema.told.c
    is_it = (table.source == mint.SOURCE_SHIFTING, table.site == site, table.expected_wh > table.used_wh)
    query = sa.select(sa.func.sum(table.credited_wh)).where(*is_it)
    return int(connection.scalar(query.where(table.start_s >= start_s, table.end_s <= end_s)) or 0)


def _amounts_mc(connection: sa.Connection, rows: Sequence[Earned], rules: Rules, window: Window) -> list[int]:
    """What each row comes to under the caps, in the rows' order, noted as used."""
    accounts = sorted({row.account for row in rows})
    number = {account: place for place, account in enumerate(accounts)}
    columns = ClaimColumns.of(
        (
            *(number[row.account], row.source, row.start_s, row.end_s),
            *(row.energy_wh, row.grade, window.start_s + INTERVAL_S),
        )
        for row in rows
    )
    found = worth(columns, rules, closing.used(connection, number))
    used_mc: dict[CapKey, int] = found.used_mc
    amounts_mc = found.amounts_mc
    for kind, terms in rules.declared.items():
        at = np.array([place for place, row in enumerate(rows) if row.kind == kind], dtype=np.int64)
        whole = np.array([rows[place].amount_mc for place in at], dtype=np.int64)
        windows_s = np.full(len(at), window.start_s)
        amounts_mc[at] = capped(
            *(whole, columns.accounts[at], windows_s, terms, rules, used_mc), what=f"declared.{kind}"
        )
    closing.note_used(connection, accounts, used_mc)
    found_mc: list[int] = amounts_mc.tolist()
    return found_mc


def _key(row: Earned) -> dict[str, object]:
    return {"source": row.source, "thing": row.thing, "start_s": row.start_s, "revision": row.revision}


def _claims(connection: sa.Connection, rows: Sequence[Earned], amounts_mc: Sequence[int], end_s: int) -> Claims:
    """The rows as claims; things and accounts get numbers."""
    known = numbers.of(connection)
    columns = (
        [row.start_s for row in rows],
        [row.end_s for row in rows],
        [row.source for row in rows],
        [row.revision for row in rows],
        [row.energy_wh for row in rows],
        amounts_mc,
    )
    things, accounts = (
        known.of(connection, numbers.octets(ids)) for ids in ([r.thing for r in rows], [r.account for r in rows])
    )
    inner = [np.array(column, dtype=np.int64) for column in columns]
    evidence_ids = -1 - np.arange(len(rows), dtype=np.int64)
    return Claims(*[things, *inner, accounts, evidence_ids, np.full(len(rows), end_s)])
