"""The spans that wait for a steward, read from the database and the published log; the aggregator may be running."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.enacted import entries_from, review_of
from aggregator.private.store import PrivateStore
from aggregator.sql import FILE
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.refusal import Hold
from ledger.app import LOG
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog

ID_DIGITS = 8
"""Of the device's id, in the name of a hold."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A held span. `site`, `name`: what people call its site and its device; `since_s`: the end of the interval that
    closed when it was held; `verdict`: "release" or "reject" when a review stands in the log that the aggregator has
    not carried out yet, else empty."""

    device: bytes
    start_s: int
    end_s: int
    reason: Hold
    energy_wh: int
    since_s: int
    site: str
    name: str
    verdict: str
    site_id: bytes

    @property
    def id(self) -> str:
        """How a steward names it: "69fbebbb@1721001600"."""
        return f"{self.device.hex()[:ID_DIGITS]}@{self.start_s}"


def read(directory: Path) -> list[Waiting]:
    """Every span that waits, the oldest first. UserError if there is nothing to read."""
    log = PublishedLog(directory / LOG)
    rows, known = _rows(directory / FILE)
    names = PrivateStore(CommuneDirectory(directory).private_db)
    sites = {row.device: row.site for row in replay_slots(log.slots()).admissions.devices()}
    verdicts: dict[tuple[bytes, int], str] = {}
    for place, _data, signed in entries_from(log, known):
        if (review := review_of(place, signed)) is not None:
            verdicts.setdefault((review.device, review.start_s), "release" if review.is_granted else "reject")
    return [
        Waiting(
            *(device, start_s, end_s, Hold(reason), energy_wh, since_s),
            site=names.name_of(sites[device]),
            name=names.name_of(device),
            verdict=verdicts.get((device, start_s), ""),
            site_id=sites[device],
        )
        for device, start_s, end_s, reason, energy_wh, since_s in rows
    ]


def find(waiting: list[Waiting], name: str) -> Waiting:
    """The one that a steward means; UserError if there is none, or more than one."""
    prefix, _at, start = name.partition("@")
    found = [row for row in waiting if row.device.hex().startswith(prefix.lower()) and str(row.start_s) == start]
    if len(prefix) < ID_DIGITS or len(found) != 1:
        raise UserError(
            _("no span that waits is called {name!r}").format(name=name),
            to_do=_(
                "copy its first column from commonwatt holds list; more digits of the device's id if two begin alike"
            ),
        )
    return found[0]


def opened(database: Path) -> sqlite3.Connection:
    """The aggregator's database, to read from; the aggregator may be running."""
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True)


def _rows(database: Path) -> tuple[list[tuple[bytes, int, int, int, int, int]], int]:
    """The rows of `held` that no review decided, and how much of the log the last closing knew."""
    if not database.exists():
        raise UserError(_("nothing was measured here yet"), where=database, to_do=_("name a commune's directory"))
    with closing(opened(database)) as connection:
        try:
            rows = connection.execute(_WAITING).fetchall()
            (known,) = connection.execute("SELECT coalesce(max(log_size), 0) FROM closing").fetchone()
        except sqlite3.Error as error:
            raise UserError(
                _("the held spans cannot be read: {error}").format(error=error),
                where=database,
                to_do=_("let this version's aggregator run once"),
            ) from error
    return rows, known


_WAITING = """
SELECT device, start_s, end_s, reason, energy_wh, closing_s
FROM held WHERE review_place IS NULL ORDER BY closing_s, device, start_s
"""
