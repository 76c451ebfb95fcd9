"""What sites declared, and from when it counts; kept beside the evidence, so that others conclude the same."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa

from aggregator import schema
from aggregator.plausibility import clearsky
from aggregator.plausibility.declared import Declared

_NAMES = [field.name for field in fields(Declared)]


def remember(connection: sa.Connection, declared: Mapping[bytes, Declared], from_s: int) -> None:
    """Note what changed, also the version of pvlib that computes a roof's sky; it counts for windows that end after
    `from_s`. A site that is left out declares nothing. UserError if a roof needs pvlib and there is none."""
    newest = {row.site: _values(row) for row in _rows(connection, None)}
    nothing = _row(Declared())
    wanted = {site: _row(declared.get(site, Declared())) for site in declared.keys() | newest.keys()}
    changed = [site for site in sorted(wanted) if wanted[site] != newest.get(site, nothing)]
    table = schema.declared
    for site in changed:
        # What was declared since the last closing has never counted.
        connection.execute(sa.delete(table).where(table.c.site == site, table.c.from_s >= from_s))
        connection.execute(sa.insert(table), {"site": site, "from_s": from_s, **wanted[site]})


def as_of(connection: sa.Connection, end_s: int | None) -> dict[bytes, Declared]:
    """What counts for the window that ends then (None: the newest), by site."""
    return {row.site: Declared(*(getattr(row, name) for name in _NAMES)) for row in _rows(connection, end_s)}


def _rows(connection: sa.Connection, end_s: int | None) -> sa.CursorResult[Any]:
    """In order of time, so that of one site's the last one counts."""
    query = sa.select(schema.declared).order_by(schema.declared.c.from_s)
    if end_s is not None:
        query = query.where(schema.declared.c.from_s < end_s)
    return connection.execute(query)


def _row(declared: Declared) -> dict[str, Any]:
    return {**asdict(declared), "pvlib": clearsky.version() if declared.has_roof else None}


def _values(row: sa.Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*_NAMES, "pvlib")}
