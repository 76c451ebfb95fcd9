"""A window's claims before they become mints: what the policy says beyond energy times rate, with what caps used."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.earning.worth import CapKey, ClaimColumns, worth
from aggregator.policy.rules import Rules
from aggregator.settling.claim_pages import Claims
from aggregator.settling.meters import Meters
from aggregator.sql import upsert
from commonwatt.units import INTERVAL_S


def revalue(connection: sa.Connection, claims: Claims, rules: Rules, meters: Meters, start_s: int) -> Claims:
    """The claims of the window that begins at `start_s` with their final amounts; notes what counts under caps."""
    if rules.is_plain or not len(claims):
        return claims
    known = numbers.of(connection)
    claims = claims.where(np.lexsort((claims.revision, known.ranks()[claims.device], claims.start_s)))
    holders, places = np.unique(claims.account, return_inverse=True)
    accounts = known.names(holders)
    columns = ClaimColumns(
        *(places, claims.source, claims.start_s, claims.end_s, claims.energy_wh),
        grades=meters.grades[claims.device],
        closings_s=np.full(len(claims), start_s + INTERVAL_S),
    )
    found = worth(columns, rules, used(connection, {account: at for at, account in enumerate(accounts)}))
    note_used(connection, accounts, found.used_mc)
    return replace(claims, amount_mc=found.amounts_mc)


def used(connection: sa.Connection, number: Mapping[bytes, int]) -> dict[CapKey, int]:
    """What these accounts used of caps by now."""
    return {
        CapKey(number[row.account], row.what, row.span, row.begins_s): row.amount_mc
        for row in connection.execute(sa.select(schema.cap_used))
        if row.account in number
    }


def note_used(connection: sa.Connection, accounts: Sequence[bytes], used_mc: Mapping[CapKey, int]) -> None:
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
