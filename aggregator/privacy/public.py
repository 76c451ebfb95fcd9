"""The public totals: what all homes together gave, took and matched in each quarter of an hour, as it was settled.

Every resident's share follows from them and from the resident's own readings (share.py). They are the settlement's
own account, so everybody who took part is in them; nobody can be read off them (rule.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aggregator import schema
from aggregator.privacy import rule
from aggregator.privacy.rule import Withheld
from commonwatt.units import INTERVAL_S

_OF_SITES = ("sites", "largest_supply_wh", "largest_demand_wh", "second_supply_wh", "second_demand_wh")


@dataclass(frozen=True, slots=True)
class PublicTotal:
    """One interval. What is None is withheld, with the reason in `withheld`; matched and unallocated energy follow
    from supply and demand, and are told with both."""

    start_s: int
    sites: int
    supply_wh: int | None
    demand_wh: int | None
    matched_wh: int | None
    unallocated_wh: int | None
    withheld: tuple[Withheld, ...]


def since(
    connection: sa.Connection, end_s: int, *, until_s: int | None = None, limit: int | None = None
) -> list[Any]:
    """Rows of closed intervals that end after `end_s`, in order; `of_row` makes totals of them."""
    closing, pool = schema.closing.c, schema.pool.c
    query = (
        sa.select(schema.closing, *(pool[name] for name in _OF_SITES))
        .join(schema.pool, pool.end_s == closing.end_s)
        .where(closing.end_s > end_s)
        .order_by(closing.end_s)
        .limit(limit)
    )
    return list(connection.execute(query if until_s is None else query.where(closing.end_s <= until_s)))


def first_end_s(connection: sa.Connection) -> int | None:
    """When the oldest closed interval ended; None before the first."""
    found: int | None = connection.scalar(sa.select(sa.func.min(schema.pool.c.end_s)))
    return found


def last_end_s(connection: sa.Connection) -> int | None:
    """When the newest closed interval ended; None before the first."""
    found: int | None = connection.scalar(sa.select(sa.func.max(schema.pool.c.end_s)))
    return found


def of_row(row: Any) -> PublicTotal:
    """What may be told of a closed interval."""
    reasons = [
        rule.check_total(row.supply_wh, row.largest_supply_wh, sites=row.sites, second=row.second_supply_wh),
        rule.check_total(row.demand_wh, row.largest_demand_wh, sites=row.sites, second=row.second_demand_wh),
    ]
    has_supply, has_demand = (reason is None for reason in reasons)
    has_both = has_supply and has_demand
    return PublicTotal(
        row.end_s - INTERVAL_S,
        row.sites,
        row.supply_wh if has_supply else None,
        row.demand_wh if has_demand else None,
        row.matched_wh if has_both else None,
        row.unallocated_wh if has_both else None,
        tuple(reason for reason in reasons if reason is not None),
    )


def between(connection: sa.Connection, start_s: int, end_s: int) -> Iterator[PublicTotal]:
    """Of the closed intervals in `[start_s, end_s)`."""
    return map(of_row, since(connection, start_s, until_s=end_s))
