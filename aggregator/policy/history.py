"""Reads what a commune settled from its database and log, read-only, so that the aggregator may be running."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aggregator.earning.worth import ClaimColumns
from aggregator.policy.replay import Measured
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
            rows = connection.execute(_CLAIMS, (end_s - last_s,)).fetchall()
        except sqlite3.Error as error:
            raise UserError(_("the claims cannot be read: {error}").format(error=error), where=database) from error
    return History(end_s - last_s, end_s, _measured(rows, _grades(directory)))


_CLAIMS = """
SELECT account, device, source, start_s, end_s, energy_wh, closing_s
FROM claim WHERE closing_s > ? ORDER BY start_s, device, revision
"""


def _grades(directory: Path) -> dict[bytes, int]:
    """Who signs for each device, as the log has it."""
    if not (directory / LOG).exists():
        return {}
    log = PublishedLog(directory / LOG)
    return {row.device: int(row.grade) for row in replay_slots(log.slots()).admissions.devices()}


def _measured(rows: list[tuple[bytes, bytes, int, int, int, int, int]], grades: dict[bytes, int]) -> Measured:
    if not rows:
        return Measured((), ClaimColumns.of([]))
    holders, devices, *numbers = zip(*rows, strict=True)
    accounts = sorted(set(holders))
    number = {account: place for place, account in enumerate(accounts)}
    sources, starts_s, ends_s, energies_wh, closings_s = (np.array(column, dtype=np.int64) for column in numbers)
    claims = ClaimColumns(
        accounts=np.array([number[holder] for holder in holders], dtype=np.int64),
        sources=sources,
        starts_s=starts_s,
        ends_s=ends_s,
        energies_wh=energies_wh,
        grades=np.array([grades.get(device, Grade.DEVICE) for device in devices], dtype=np.int64),
        closings_s=closings_s,
    )
    return Measured(tuple(accounts), claims)
