"""Whether a request of the operator is taken. Pure."""

from collections.abc import Container, Iterable
from enum import IntEnum

from aggregator.policy.terms import Shifting
from aggregator.statements import requests
from aggregator.statements.requests import Request
from aggregator.statements.statement import EVERYBODY, Statement
from commonwatt.i18n import _

AHEAD_S_MAX = 31 * 86_400
STANDING_MAX = 64
"""Requests that are not over; devices hear the next sixteen."""


class Refused(IntEnum):
    """Why a request is not taken; the first that holds, in this order."""

    NOT_THE_OPERATOR = 1
    NOT_A_REQUEST = 2
    UNKNOWN_FEEDER = 3
    HAS_BEGUN = 4
    TOO_FAR = 5
    OVERLAPS = 6
    TOO_MANY = 7

    @property
    def label(self) -> str:
        """As answers name it."""
        return self.name.lower().replace("_", "-")


def sentence(refused: Refused) -> str:
    """What whoever asked reads."""
    return {
        Refused.NOT_THE_OPERATOR: _("It is not signed by a key that is the operator's now, for this commune."),
        Refused.NOT_A_REQUEST: _(
            "A request is for a peak or a surplus, from one quarter hour to another, for twelve hours at most."
        ),
        Refused.UNKNOWN_FEEDER: _("The commune knows no such feeder."),
        Refused.HAS_BEGUN: _("It would have begun already."),
        Refused.TOO_FAR: _("It is more than {days} days ahead.").format(days=AHEAD_S_MAX // 86_400),
        Refused.OVERLAPS: _("Some of these people are asked for something at that time already."),
        Refused.TOO_MANY: _("{count} requests stand already; wait until one is over.").format(count=STANDING_MAX),
    }[refused]


def check(
    statement: Statement, standing: Iterable[Request], feeders: Container[bytes], now_s: float
) -> tuple[Refused, Request | None] | None:
    """Why a statement of the operator is not taken, and beside which request; None if it is. `standing`: requests
    that are not over, in the log's order; `feeders`: that the commune knows."""
    if not requests.is_sound(statement):
        return Refused.NOT_A_REQUEST, None
    if statement.subject != EVERYBODY and statement.subject not in feeders:
        return Refused.UNKNOWN_FEEDER, None
    if statement.start_s < now_s:
        return Refused.HAS_BEGUN, None
    if statement.start_s > now_s + AHEAD_S_MAX:
        return Refused.TOO_FAR, None
    count = 0
    for other in standing:
        if other.start_s < statement.end_s and statement.start_s < other.end_s and _meets(statement, other):
            return Refused.OVERLAPS, other
        count += 1
    return (Refused.TOO_MANY, None) if count >= STANDING_MAX else None


def counts(asked_s: int, start_s: int, terms: Shifting | None) -> bool:
    """Whether the policy rewards it: one that is announced late is told to people and devices all the same."""
    return terms is not None and asked_s <= start_s - terms.notice_s


def _meets(statement: Statement, other: Request) -> bool:
    """Whether somebody is asked for both."""
    return statement.subject == EVERYBODY or other.concerns(statement.subject)
