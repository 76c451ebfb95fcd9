"""What homes were told of savings and shifting, read from the database; the aggregator may be running."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from aggregator.earning import shifting
from aggregator.savings import reasons
from aggregator.sql import FILE
from commonwatt.errors import UserError
from commonwatt.i18n import _
from ledger.book import mint


@dataclass(frozen=True, slots=True)
class Line:
    """One answer to one site. `is_true_up`: over several periods, `credited_wh` being what was released; `why`: the
    sentence for which nothing can be told, else empty."""

    source: int
    site: bytes
    start_s: int
    end_s: int
    is_true_up: bool
    why: str
    expected_wh: int
    used_wh: int
    credited_wh: int
    held_wh: int


def read(directory: Path) -> list[Line]:
    """Every answer, by site and time. UserError if there is nothing to read."""
    database = directory / FILE
    if not database.exists():
        raise UserError(_("nothing was measured here yet"), where=database, to_do=_("name a commune's directory"))
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute(_TOLD).fetchall()
        except sqlite3.Error as error:
            raise UserError(
                _("what was told cannot be read: {error}").format(error=error),
                where=database,
                to_do=_("let this version's aggregator run once"),
            ) from error
    return [
        Line(source, site, start_s, end_s, revision > 0, _why(source, reason), *figures)
        for source, site, start_s, end_s, revision, reason, *figures in rows
    ]


_TOLD = """
SELECT source, site, start_s, end_s, revision, reason, expected_wh, used_wh, credited_wh, held_wh
FROM told ORDER BY site, start_s, source, revision
"""


def _why(source: int, reason: int) -> str:
    if not reason:
        return ""
    if source == mint.SOURCE_SAVINGS:
        return reasons.sentence(reasons.Reason(reason))
    return shifting.sentence(shifting.Reason(reason))
