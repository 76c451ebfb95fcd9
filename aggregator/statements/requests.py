"""The operator's requests as the log has them: when to use less or more, and on which feeder. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.statements.statement import EVERYBODY, PEAK, SURPLUS, Statement, Topic
from aggregator.statements.values import Stated
from commonwatt.asked import ASK_S_MAX
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import INTERVAL_S


@dataclass(frozen=True, slots=True)
class Request:
    """A request and the civil time of its entry: what was asked later than `notice_s` before it begins counts for
    nothing. `feeder`: None for everybody."""

    place: int
    time_s: int
    start_s: int
    end_s: int
    is_peak: bool
    feeder: bytes | None

    def concerns(self, feeder: bytes | None) -> bool:
        """Whether a site on this feeder was asked."""
        return self.feeder is None or self.feeder == feeder


def of(stated: Iterable[Stated]) -> tuple[Request, ...]:
    """The requests among statements, in the order of the log."""
    return tuple(
        Request(
            *(item.place, item.time_s, item.statement.start_s, item.statement.end_s),
            is_peak=item.statement.what == PEAK,
            feeder=None if item.statement.subject == EVERYBODY else item.statement.subject,
        )
        for item in stated
        if is_sound(item.statement)
    )


def request(start_s: int, end_s: int, kind: str, feeder: bytes | None) -> Statement:
    """A request to be signed; UserError if it is none."""
    statement = Statement(Topic.REQUEST, kind, feeder or EVERYBODY, start_s, end_s)
    if not is_sound(statement):
        raise UserError(
            _("a request is for a peak or a surplus, from one quarter hour to another, for twelve hours at most"),
            to_do=_("write for example --from 2026-12-01T18:00 --to 2026-12-01T20:00 --kind peak"),
        )
    return statement


def is_sound(statement: Statement) -> bool:
    """Whether a statement is a request: of the right kind, in quarter hours, not too long."""
    start_s, end_s = statement.start_s, statement.end_s
    is_grid = start_s % INTERVAL_S == 0 and end_s % INTERVAL_S == 0
    is_request = statement.topic is Topic.REQUEST and statement.what in (PEAK, SURPLUS)
    return is_request and is_grid and 0 < end_s - start_s <= ASK_S_MAX
