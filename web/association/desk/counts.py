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
            _count(
                waits.newcomers, _("person would like to take part"), _("people would like to take part"), "/people"
            ),
            _count(waits.holds, _("held claim to look at"), _("held claims to look at"), "/holds"),
            _count(waits.claims, _("new meter to admit"), _("new meters to admit"), "/meters"),
            _count(waits.declared, _("declared value to confirm"), _("declared values to confirm"), "/declared"),
        ]
    corrections = _count(waits.corrections, _("correction to look at"), _("corrections to look at"), "/corrections")
    found.append(corrections)
    if role is Role.STEWARD:
        found.append(Count(waits.carried, _("signed by others, to be taken into the log"), "/declared#carry"))
    if role is not Role.OPERATOR:
        found += [
            _count(waits.ending, _("consent about to end"), _("consents about to end"), "/people?show=consent"),
            _count(waits.leaving, _("member to be erased"), _("members to be erased"), "/erasures"),
            _count(
                waits.silent, _("person with a silent meter"), _("people with silent meters"), "/people?show=silent"
            ),
        ]
    return [row for row in found if row.number]


def _count(number: int, one: str, many: str, path: str) -> Count:
    return Count(number, one if number == 1 else many, path)
