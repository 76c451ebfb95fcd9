"""A window's claims before they become mints: what the policy says beyond energy times rate, with what caps used."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from aggregator import schema
from aggregator.earning.worth import CapKey, ClaimColumns, worth
from aggregator.minting.valuation import Valued
from aggregator.policy.rules import Rules
from aggregator.settling.interval import Meter
from aggregator.sql import upsert
from commonwatt.units import INTERVAL_S


def revalue(
    connection: sa.Connection, claims: Sequence[Valued], rules: Rules, meters: Mapping[bytes, Meter], start_s: int
) -> list[Valued]:
    """The claims of the window that begins at `start_s` with their final amounts; notes what counts under caps."""
    if rules.is_plain or not claims:
        return list(claims)
    ordered = sorted(claims, key=lambda row: (row.start_s, row.device, row.revision))
    accounts = sorted({row.account for row in ordered})
    number = {account: place for place, account in enumerate(accounts)}
    columns = ClaimColumns.of(
        (
            *(number[row.account], row.source, row.start_s, row.end_s),
            *(row.energy_wh, meters[row.device].grade, start_s + INTERVAL_S),
        )
        for row in ordered
    )
    found = worth(columns, rules, _used(connection, number))
    _note(connection, accounts, found.used_mc)
    return [
        replace(row, amount_mc=amount_mc) for row, amount_mc in zip(ordered, found.amounts_mc.tolist(), strict=True)
    ]


def _used(connection: sa.Connection, number: Mapping[bytes, int]) -> dict[CapKey, int]:
    """What these accounts used of caps by now."""
    return {
        CapKey(number[row.account], row.what, row.span, row.begins_s): row.amount_mc
        for row in connection.execute(sa.select(schema.cap_used))
        if row.account in number
    }


def _note(connection: sa.Connection, accounts: Sequence[bytes], used_mc: Mapping[CapKey, int]) -> None:
    """Keep what is used; of what is over, the last span is enough."""
    rows = [
        {
            "account": accounts[key.account],
            "what": key.what,
            "span": key.span,
            "begins_s": key.begins_s,
            "amount_mc": mc,
        }
        for key, mc in used_mc.items()
    ]
    if not rows:
        return
    connection.execute(upsert(schema.cap_used), rows)
    for span in {row["span"] for row in rows}:
        newest_s = max(key.begins_s for key in used_mc if key.span == span)
        old = sa.and_(schema.cap_used.c.span == span, schema.cap_used.c.begins_s < newest_s)
        connection.execute(sa.delete(schema.cap_used).where(old))
