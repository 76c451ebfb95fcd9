"""Keeps what weather stations measured: a day that is known stays as it is, because answers may rest on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from aggregator import schema
from aggregator.sql import Database, conflict_insert


@dataclass(frozen=True, slots=True)
class Added:
    """What an import brought: days that are new, and days that were known otherwise and stay as they were."""

    new: int
    differing: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Station:
    """What is known of a station: from the first to the last day, and how many between them."""

    name: str
    first: date
    last: date
    days: int


def add(database: Database, station: str, means_dc: Mapping[date, int]) -> Added:
    """Keep the means of days (tenths of a degree) that are not known yet, durably. Raises StorageError."""
    with database.transaction() as connection:
        known = dict(zip(means_dc, of(connection, station, list(means_dc)), strict=True))
        fresh = [
            {"station": station, "day": day.toordinal(), "mean_dc": mean_dc}
            for day, mean_dc in means_dc.items()
            if known[day] is None
        ]
        if fresh:
            connection.execute(conflict_insert(schema.weather).on_conflict_do_nothing(), fresh)
    differing = tuple(day for day, mean_dc in means_dc.items() if known[day] not in (None, mean_dc))
    return Added(len(fresh), differing)


def of(connection: sa.Connection, station: str, days: Sequence[date]) -> list[int | None]:
    """The mean of each day in tenths of a degree; None where it is not known."""
    table = schema.weather.c
    ordinals = [day.toordinal() for day in days]
    query = sa.select(table.day, table.mean_dc).where(
        table.station == station, table.day >= min(ordinals, default=0), table.day <= max(ordinals, default=0)
    )
    found = {row.day: row.mean_dc for row in connection.execute(query)}
    return [found.get(ordinal) for ordinal in ordinals]


def stations(connection: sa.Connection) -> list[Station]:
    """Every station that is known."""
    table = schema.weather.c
    query = sa.select(table.station, sa.func.min(table.day), sa.func.max(table.day), sa.func.count())
    rows = connection.execute(query.group_by(table.station).order_by(table.station))
    return [Station(name, date.fromordinal(first), date.fromordinal(last), days) for name, first, last, days in rows]
