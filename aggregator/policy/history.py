"""Reads what a commune settled from its database, read-only, so that the aggregator may be running."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from aggregator.policy.replay import Settled
from aggregator.settling.interval import Claim, Source
from commonwatt.errors import UserError
from commonwatt.i18n import _


@dataclass(frozen=True, slots=True)
class History:
    """Claims of the intervals that closed in `(start_s, end_s]`, civil seconds, in no order."""

    start_s: int
    end_s: int
    claims: tuple[Settled, ...]


def read(database: Path, last_s: int) -> History:
    """The claims of the `last_s` seconds before the last closing; UserError if there is nothing to read."""
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
    return History(end_s - last_s, end_s, tuple(_settled(*row) for row in rows))


_CLAIMS = """
SELECT device, start_s, end_s, source, revision, energy_wh, account, evidence_id, closing_s
FROM claim WHERE closing_s > ?
"""


def _settled(
    device: bytes,
    start_s: int,
    end_s: int,
    source: int,
    revision: int,
    energy_wh: int,
    account: bytes,
    evidence_id: int,
    closing_s: int,
) -> Settled:
    claim = Claim(device, start_s, end_s, Source(source), revision, energy_wh, account, evidence_id)
    return Settled(claim, closing_s)
