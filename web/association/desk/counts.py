"""How much waits for an office, each with the page where it is dealt with."""

from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt.i18n import _
from web.roles import Role


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits, in numbers. `ending`: people whose consent ends soon; `leaving`: who asked to be
    erased; `carried`: signed statements that only need a
    steward's hand to come into the log."""

    to_sign: int = 0
    newcomers: int = 0
    holds: int = 0
    declared: int = 0
    corrections: int = 0
    claims: int = 0
    carried: int = 0
    ending: int = 0
    silent: int = 0
    leaving: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """One of them: a number, what it is a number of, and where it leads."""

    number: int
    words: str
    path: str


def counts(waits: Waits, role: Role) -> Sequence[Count]:
    """Those that are not nothing, the most pressing first."""
    found = [Count(waits.to_sign, _("to sign"), "#sign")]
    if role is not Role.OPERATOR:
        found += [
            Count(waits.newcomers, _("would like to take part"), "/people"),
            Count(waits.holds, _("held claims to look at"), "/holds"),
            Count(waits.claims, _("new meters to admit"), "/meters"),
            Count(waits.declared, _("declared values to confirm"), "/declared"),
        ]
    found.append(Count(waits.corrections, _("corrections to look at"), "/corrections"))
    if role is Role.STEWARD:
        found.append(Count(waits.carried, _("signed by others, to be taken into the log"), "/declared#carry"))
    if role is not Role.OPERATOR:
        found += [
            Count(waits.ending, _("consents about to end"), "/people?show=consent"),
            Count(waits.leaving, _("members to be erased"), "/erasures"),
            Count(waits.silent, _("people with silent meters"), "/people?show=silent"),
        ]
    return [row for row in found if row.number]
