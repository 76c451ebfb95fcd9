"""What stands behind mints, read from the aggregator's database: which meters, when, how much before the share.

Nothing of it is needed to see an account: where there is no database, mints are told by the log alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from aggregator import schema
from aggregator.minting import line_pages
from aggregator.reading import reading
from aggregator.settling import history
from aggregator.settling.claim_pages import Claims
from commonwatt.errors import UserError
from commonwatt.identity import ID_SIZE
from commonwatt.quantities import IMPORT
from commonwatt.units import INTERVAL_S
from ledger.book.mint import Mint


@dataclass(frozen=True, slots=True)
class Line:
    """One settled span of a meter. `gross_mc`: before the association's share. `device`: of what no meter measured
    the beginning of a statement's hash."""

    device: bytes
    start_s: int
    end_s: int
    energy_wh: int
    gross_mc: int


@dataclass(frozen=True, slots=True)
class Plug:
    """How much of what neighbours covered went through a meter behind the main meter."""

    device: bytes
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Held:
    """Spans of a meter that wait until a steward has looked at them: from the first to the last, and their energy."""

    device: bytes
    start_s: int
    end_s: int
    energy_wh: int


@contextmanager
def looking(directory: Path, database_url: str) -> Iterator[sa.Connection | None]:
    """The database for a moment; None where there is none, or nothing in it yet."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(reading(directory, database_url))
        except UserError:
            connection = None
        yield connection


def lines(connection: sa.Connection | None, mint: Mint) -> list[Line]:
    """The lines that a mint commits to, in their order; none where they are not known here."""
    number = None if connection is None else _number(connection, mint.account)
    if connection is None or number is None:
        return []
    window = (mint.window_start_s, mint.account, number, mint.window_end_s)
    found = line_pages.in_window(connection, *window)
    if found is None:
        return []
    mine = found[0].where(found[0].source == mint.source)
    return _lines(connection, mine) if len(mine) == mint.lines else []


def plugs(
    connection: sa.Connection, mains: Sequence[bytes], behind: Sequence[bytes], rows: Sequence[Line]
) -> list[Plug]:
    """Of energy that neighbours covered, what meters behind the main meter took: in each quarter of an hour as much
    of it as they used of what the home drew. Spans that are longer than a quarter say nothing of it."""
    short = [row for row in rows if row.end_s - row.start_s == INTERVAL_S and row.energy_wh > 0]
    if not short or not behind:
        return []
    start_s, end_s = min(row.start_s for row in short), max(row.end_s for row in short)
    drawn, used = (
        np.where((wh := history.growth(connection, some, IMPORT.number, start_s, end_s)) == history.UNKNOWN, 0, wh)
        for some in (mains, behind)
    )
    at = np.array([(row.start_s - start_s) // INTERVAL_S for row in short])
    covered = np.array([row.energy_wh for row in short])
    whole = np.maximum(drawn.sum(axis=0), used.sum(axis=0))[at]
    parts = covered * used[:, at] // np.maximum(whole, 1)
    found = [Plug(device, int(wh)) for device, wh in zip(behind, parts.sum(axis=1), strict=True)]
    return sorted((plug for plug in found if plug.energy_wh > 0), key=lambda plug: -plug.energy_wh)


def held(connection: sa.Connection | None, devices: Iterable[bytes]) -> list[Held]:
    """What waits of these meters."""
    if connection is None:
        return []
    table = schema.held.c
    query = (
        sa.select(table.device, sa.func.min(table.start_s), sa.func.max(table.end_s), sa.func.sum(table.energy_wh))
        .where(table.device.in_(list(devices)), table.review_place.is_(None))
        .group_by(table.device)
    )
    return [Held(device, *map(int, figures)) for device, *figures in connection.execute(query)]


def _number(connection: sa.Connection, identifier: bytes) -> int | None:
    """Of one account: all numbers of a town are too many to be read for one page."""
    table = schema.number.c
    number: int | None = connection.scalar(sa.select(table.number).where(table.id == identifier))
    return number


def _lines(connection: sa.Connection, mine: Claims) -> list[Line]:
    table = schema.number.c
    wanted = np.unique(mine.device).tolist()
    rows = connection.execute(sa.select(table.number, table.id).where(table.number.in_(wanted))).all()
    names: dict[int, bytes] = {row.number: row.id for row in rows}
    columns = (mine.device, mine.start_s, mine.end_s, mine.energy_wh, mine.amount_mc)
    figures = zip(*(column.tolist() for column in columns), strict=True)
    return [Line(names.get(device, bytes(ID_SIZE)), *rest) for device, *rest in figures]
