"""Reads what a commune settled from its database and log, read-only, so that the aggregator may be running."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aggregator.earning.worth import ClaimColumns
from aggregator.policy.replay import Measured
from aggregator.settling import claim_pages
from aggregator.settling.claim_pages import Claims
from aggregator.sql import FILE
from commonwatt.errors import UserError
from commonwatt.i18n import _
from ledger.app import LOG
from ledger.book.kinds import Grade
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog


@dataclass(frozen=True, slots=True)
class History:
    """What was settled with the intervals that closed in `(start_s, end_s]`, civil seconds."""

    start_s: int
    end_s: int
    measured: Measured


def read(directory: Path, last_s: int) -> History:
    """The claims of the `last_s` seconds before the last closing; UserError if there is nothing to read."""
    database = directory / FILE
    if not database.exists():
        raise UserError(_("nothing was measured here yet"), where=database, to_do=_("name a commune's directory"))
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            (end_s,) = connection.execute("SELECT max(end_s) FROM closing").fetchone()
            if end_s is None:
                raise UserError(_("no interval has closed yet"), where=database, to_do=_("wait until one has"))
            claims = claim_pages.joined(connection.execute(_CLAIMS, (end_s - last_s,)).fetchall())
            names = [name for (name,) in connection.execute("SELECT id FROM number ORDER BY number")]
        except sqlite3.Error as error:
            raise UserError(_("the claims cannot be read: {error}").format(error=error), where=database) from error
    return History(end_s - last_s, end_s, _measured(claims, names, _grades(directory)))


_CLAIMS = "SELECT closing_s, columns FROM claim_page WHERE closing_s > ? ORDER BY closing_s, part"


def _grades(directory: Path) -> dict[bytes, int]:
    """Who signs for each device, as the log has it."""
    if not (directory / LOG).exists():
        return {}
    log = PublishedLog(directory / LOG)
    return {row.device: int(row.grade) for row in replay_slots(log.slots()).admissions.devices()}


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
