"""Reads what was minted of a device, what corrections took back and what is owed; the aggregator may be running."""

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.minting import correcting, corrections, line_pages
from aggregator.minting.corrections import Standing


@dataclass(frozen=True, slots=True)
class Carried:
    """A correction that was carried out. `back_wh`, `back_mc`: what it took back, before the association's share."""

    place: int
    before_wh: int
    back_wh: int
    back_mc: int


@dataclass(frozen=True, slots=True)
class Owed:
    """What an account owes by a source until what it earns there has balanced it, before the association's share."""

    account: bytes
    source: int
    amount_mc: int


def standing(connection: sa.Connection, device: bytes, account: bytes, start_s: int, end_s: int) -> list[Standing]:
    """What stands of a device in spans within a time, of what was minted for its holder."""
    places = numbers.of(connection).find(numbers.octets([device, account])).tolist()
    if numbers.NONE in places:
        return []
    number, holder = places
    lines: list[Standing] = []
    for claims, digests in line_pages.of_account(connection, holder, start_s):
        lines += correcting.of_device(claims, digests, number, (start_s, end_s))
    return corrections.stands(lines)


def carried(connection: sa.Connection) -> dict[int, Carried]:
    """Corrections that were carried out, by the place of their entry."""
    back_wh: Counter[int] = Counter()
    back_mc: Counter[int] = Counter()
    for row in connection.execute(sa.select(schema.corrected)):
        back_wh[row.place] -= row.energy_wh
        back_mc[row.place] -= row.amount_mc
    rows = connection.execute(sa.select(schema.correction))
    return {row.place: Carried(row.place, row.before_wh, back_wh[row.place], back_mc[row.place]) for row in rows}


def owed(connection: sa.Connection) -> list[Owed]:
    """Who owes, by account and source."""
    found = correcting.owed(connection)
    if found is None:
        return []
    claims, _digests = found
    sums: Counter[tuple[bytes, int]] = Counter()
    names = numbers.of(connection).names(claims.account)
    for key, amount_mc in zip(
        zip(names, claims.source.tolist(), strict=True), claims.amount_mc.tolist(), strict=True
    ):
        sums[key] -= amount_mc
    return [Owed(account, source, amount_mc) for (account, source), amount_mc in sorted(sums.items())]
