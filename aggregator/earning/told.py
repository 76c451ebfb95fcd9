"""What homes were told of savings and shifting, read from the database; the aggregator may be running."""

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from aggregator import schema
from aggregator.earning import shifting
from aggregator.reading import reading
from aggregator.savings import reasons
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
    with reading(directory) as connection:
        rows = connection.execute(_TOLD).all()
    return [
        Line(source, site, start_s, end_s, revision > 0, _why(source, reason), *figures)
        for source, site, start_s, end_s, revision, reason, *figures in rows
    ]


_told = schema.told.c
_TOLD = sa.select(
    *(_told.source, _told.site, _told.start_s, _told.end_s, _told.revision, _told.reason),
    *(_told.expected_wh, _told.used_wh, _told.credited_wh, _told.held_wh),
).order_by(_told.site, _told.start_s, _told.source, _told.revision)


def _why(source: int, reason: int) -> str:
    if not reason:
        return ""
    if source == mint.SOURCE_SAVINGS:
        return reasons.sentence(reasons.Reason(reason))
    return shifting.sentence(shifting.Reason(reason))
