"""What the operator asked for, and what came of it, as far as it may be told."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from aggregator import schema
from aggregator.privacy import rule
from aggregator.privacy.memory import Memory, Told
from aggregator.privacy.rule import Withheld
from aggregator.statements.requests import Request
from aggregator.telemetry.cells import Cell, Commune
from aggregator.telemetry.measurements import COMMUNE
from aggregator.telemetry.point import Point
from ledger.book import mint

TELEMETRY = "telemetry"
"""What keys of the memory begin with that dashboards tell of."""

MayBeTold = Callable[[frozenset[bytes], int, int], Withheld | None]
"""Why a total over sites in a span may not be told beside what was told of it, or None."""


def asked(request: Request, commune: Commune) -> Point | None:
    """The request itself, at the beginning of what was asked; None if nobody knows that feeder any more."""
    cell = cell_of(request, commune)
    if cell is None:
        return None
    fields = {
        "asked_s": request.time_s,
        "start_s": request.start_s,
        "end_s": request.end_s,
        "notice_s": request.start_s - request.time_s,
        "sites_asked": len(cell.sites),
    }
    return Point("request", request.start_s, fields, _tags(request, cell))


def came(
    connection: sa.Connection,
    request: Request,
    commune: Commune,
    count_withheld: Callable[[Withheld], None],
    may_be_told: MayBeTold,
) -> Point | None:
    """What came; None if nobody was measured yet, or nobody could be."""
    cell = cell_of(request, commune)
    if cell is None:
        return None
    measured = _measured(connection, request, commune.ids(cell.sites))
    if not measured:
        return None
    fields = {"sites": len(measured)}
    reason = (
        rule.check_parts([row.used_wh for row in measured.values()])
        or rule.check_parts([row.expected_wh for row in measured.values()])
        or may_be_told(frozenset(measured), request.start_s, request.end_s)
    )
    if reason is not None:
        count_withheld(reason)
        return Point("request", request.start_s, fields, _tags(request, cell))
    fields |= {
        "expected_wh": sum(row.expected_wh for row in measured.values()),
        "used_wh": sum(row.used_wh for row in measured.values()),
    }
    # Who moves a large part is few people's business: what was credited is told by its own rule.
    credited = [row.credited_wh for row in measured.values()]
    if (reason := rule.check_parts(credited)) is None:
        fields |= {"shifted_wh": sum(credited), "reward_mc": _reward_mc(connection, request, commune, measured)}
    else:
        count_withheld(reason)
    return Point("request", request.start_s, fields, _tags(request, cell))


def remembered(memory: Memory, request: Request) -> MayBeTold:
    """Judges beside everything that was told before, and remembers what is told of this request: whoever tells it
    again, in a dashboard or on a page, tells the same."""

    def may_be_told(sites: frozenset[bytes], start_s: int, end_s: int) -> Withheld | None:
        reason = rule.check_earlier(sites, (found.sites for found in memory.during(start_s, end_s)))
        if reason is None:
            memory.extend(Told(f"{TELEMETRY}:request:{request.place}", start_s, end_s, sites))
        return reason

    return may_be_told


def cell_of(request: Request, commune: Commune) -> Cell | None:
    """Whom it concerns."""
    wanted = COMMUNE if request.feeder is None else f"feeder:{request.feeder.hex()}"
    return next((cell for cell in commune.cells if cell.key == wanted), None)


def _tags(request: Request, cell: Cell) -> dict[str, str]:
    kind = "peak" if request.is_peak else "surplus"
    return {"request": str(request.place), "kind": kind, **cell.tags}


def _measured(connection: sa.Connection, request: Request, sites: frozenset[bytes]) -> Mapping[bytes, sa.Row[Any]]:
    """By site what it was told, of those of whom anything could be."""
    told = schema.told.c
    is_it = (told.source == mint.SOURCE_SHIFTING, told.start_s == request.start_s, told.end_s == request.end_s)
    rows = connection.execute(sa.select(schema.told).where(*is_it, told.reason == 0)).all()
    return {row.site: row for row in rows if row.site in sites}


def _reward_mc(connection: sa.Connection, request: Request, commune: Commune, sites: Mapping[bytes, object]) -> int:
    """What shifting earned these sites in the event, before the association's share."""
    earned = schema.earned.c
    is_it = (earned.source == mint.SOURCE_SHIFTING, earned.start_s == request.start_s, earned.end_s == request.end_s)
    rows = connection.execute(sa.select(earned.thing, earned.amount_mc).where(*is_it)).all()
    site_of = commune.site_of_device
    return sum(amount for thing, amount in rows if thing in site_of and commune.sites[site_of[thing]] in sites)
