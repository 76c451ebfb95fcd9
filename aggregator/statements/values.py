"""Values that somebody gave and a second person saw: from two signed statements to what may be paid. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from aggregator.policy.terms import Declared
from aggregator.statements.signers import Signer
from aggregator.statements.statement import Statement, Topic
from commonwatt.i18n import _
from commonwatt.units import INTERVAL_S

DAY_S = 86_400
NUMBER_PER_UNIT = 1000


class Refused(IntEnum):
    """Why a value is not paid; the first that holds, in this order."""

    UNKNOWN_SIGNER = 1
    CONFIRMED_BY_DECLARER = 2
    CONFIRMED_BY_BENEFICIARY = 3
    NOT_IN_POLICY = 4
    NOTHING = 5
    IN_THE_FUTURE = 6
    TOO_OLD = 7


def sentence(refused: Refused) -> str:
    """What people read."""
    return {
        Refused.UNKNOWN_SIGNER: _("The key is no active wallet, steward's or town hall's key."),
        Refused.CONFIRMED_BY_DECLARER: _("Who declared a value cannot confirm it: a second person has to."),
        Refused.CONFIRMED_BY_BENEFICIARY: _("Whom a value is for cannot confirm it."),
        Refused.NOT_IN_POLICY: _("The policy in force pays for no value of this kind."),
        Refused.NOTHING: _("The amount is nothing."),
        Refused.IN_THE_FUTURE: _("It is not over yet."),
        Refused.TOO_OLD: _("It was too long ago for the policy."),
    }[refused]


@dataclass(frozen=True, slots=True)
class Stated:
    """A statement in the log: the place and civil time of its entry, and who signed it."""

    place: int
    time_s: int
    statement: Statement
    signer: Signer


@dataclass(frozen=True, slots=True)
class Value:
    """A value declared by one and confirmed by another, at the place and time of the confirmation."""

    place: int
    time_s: int
    statement: Statement


def check(
    statement: Statement, declarer: Signer, confirmer: Signer | None, kinds: Mapping[str, Declared], time_s: int
) -> Refused | None:
    """Why a value is not paid, or None. `confirmer`: None while it waits for one; `time_s`: civil, of the entry."""
    if confirmer is not None and confirmer.id == declarer.id:
        return Refused.CONFIRMED_BY_DECLARER
    if confirmer is not None and confirmer.id == statement.subject:
        return Refused.CONFIRMED_BY_BENEFICIARY
    terms = kinds.get(statement.what)
    if terms is None:
        return Refused.NOT_IN_POLICY
    if statement.number == 0:
        return Refused.NOTHING
    if statement.end_s > time_s + INTERVAL_S:
        return Refused.IN_THE_FUTURE
    return Refused.TOO_OLD if time_s - statement.end_s > terms.age_days_max * DAY_S else None


def confirmed(stated: Iterable[Stated]) -> tuple[tuple[Value, Signer, Signer], ...]:
    """Declared values with who declared and who confirmed, in the order of the confirmations. The first statement of
    the same words declares, the first by another than the declarer and the beneficiary confirms; later ones change
    nothing."""
    declarers: dict[Statement, Signer] = {}
    found: dict[Statement, tuple[Value, Signer, Signer]] = {}
    for item in _values(stated):
        statement = item.statement
        declarer = declarers.setdefault(statement, item.signer)
        if statement not in found and item.signer.id not in (declarer.id, statement.subject):
            found[statement] = (Value(item.place, item.time_s, statement), declarer, item.signer)
    return tuple(found.values())


def waiting(stated: Iterable[Stated]) -> tuple[Stated, ...]:
    """Declarations that nobody confirmed, in the order of the log."""
    rows = list(_values(stated))
    done = {value.statement for value, _declarer, _confirmer in confirmed(rows)}
    firsts: dict[Statement, Stated] = {}
    for item in rows:
        firsts.setdefault(item.statement, item)
    return tuple(item for statement, item in firsts.items() if statement not in done)


def _values(stated: Iterable[Stated]) -> Iterator[Stated]:
    return (item for item in stated if item.statement.topic is Topic.VALUE)


def amount_mc(statement: Statement, terms: Declared) -> int:
    """What it comes to before caps and the association's share, rounded down."""
    return statement.number * terms.rate_mc_per_unit // NUMBER_PER_UNIT
