"""The spans that wait for a steward, read from the database and the published log; the aggregator may be running."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from aggregator import schema
from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.enacted import entries_from, review_of
from aggregator.private.store import PrivateStore
from aggregator.reading import reading
from aggregator.settling.reviews import REJECT, RELEASE, Review
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.refusal import Hold
from ledger.app import LOG
from ledger.book.replay import replay_slots
from ledger.book.state import State
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

    def reviews_from(place: int) -> Iterator[Review]:
        found = (review_of(at, signed) for at, _data, signed in entries_from(log, place))
        return (review for review in found if review is not None)

    return of(directory, replay_slots(log.slots()), reviews_from)


def of(
    directory: Path, state: State, reviews_from: Callable[[int], Iterable[Review]], *, database_url: str = ""
) -> list[Waiting]:
    """The same for who follows the log: its state, and the reviews from a place on."""
    rows, known = _rows(directory, database_url)
    names = PrivateStore(CommuneDirectory(directory).private_db)
    sites = {row.device: row.site for row in state.admissions.devices()} if rows else {}
    verdicts: dict[tuple[bytes, int], str] = {}
    for review in reviews_from(known):
        verdicts.setdefault((review.device, review.start_s), RELEASE if review.is_granted else REJECT)
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


def _rows(directory: Path, database_url: str) -> tuple[list[tuple[bytes, int, int, int, int, int]], int]:
    """The rows of `held` that no review decided, and how much of the log the last closing knew."""
    with reading(directory, database_url) as connection:
        rows = [
            (row.device, row.start_s, row.end_s, row.reason, row.energy_wh, row.closing_s)
            for row in connection.execute(_WAITING)
        ]
        return rows, connection.scalar(sa.select(sa.func.max(schema.closing.c.log_size))) or 0


_held = schema.held.c
_WAITING = (
    sa.select(_held.device, _held.start_s, _held.end_s, _held.reason, _held.energy_wh, _held.closing_s)
    .where(_held.review_place.is_(None))
    .order_by(_held.closing_s, _held.device, _held.start_s)
)
