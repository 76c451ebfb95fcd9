"""Use moved away from a peak, or into a surplus, that the operator announced, against the home's own usual use then.
Pure; whole numbers only, so that a stranger gets the same to the watt-hour.

The usual use is the mean of the same local hours on the comparable days before: as many as the policy says, working
days for a working day and weekends for a weekend, without those on which the home was asked for something at that
time. How wrong such a mean can be is tried on these days themselves: each is foretold from the others. Credited is
what lies beyond the error that was not exceeded on `sure_permille` of them: for what happens anyhow nothing is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from aggregator.policy.terms import PERMILLE, Shifting
from commonwatt.i18n import _

DAYS_MIN = 4
"""Fewer comparable days say nothing of how much a home's days differ."""


class Reason(IntEnum):
    """Why nothing can be told; the first that holds, in this order."""

    ANNOUNCED_LATE = 1
    NOT_MEASURED = 2
    TOO_FEW_DAYS = 3


def sentence(reason: Reason) -> str:
    """What the home reads."""
    return {
        Reason.ANNOUNCED_LATE: _("It was announced too late to count."),
        Reason.NOT_MEASURED: _("Your use during the event was not measured whole."),
        Reason.TOO_FEW_DAYS: _("Too few comparable days before it were measured whole."),
    }[reason]


@dataclass(frozen=True, slots=True)
class Shifted:
    """What one home moved in one event, Wh. `reason`: why nothing can be told; then all figures are 0."""

    reason: Reason | None = None
    usual_wh: int = 0
    used_wh: int = 0
    credited_wh: int = 0


def measure(used_wh: int | None, days_wh: Sequence[int | None], terms: Shifting, *, is_peak: bool) -> Shifted:
    """What a home moved. `used_wh`: during the event; `days_wh`: in the same hours of comparable days, the nearest
    first; None: not measured whole."""
    if used_wh is None:
        return Shifted(Reason.NOT_MEASURED)
    known = [wh for wh in days_wh if wh is not None][: terms.days]
    if len(known) < DAYS_MIN:
        return Shifted(Reason.TOO_FEW_DAYS)
    usual_wh = sum(known) // len(known)
    sign = 1 if is_peak else -1
    # How much less (more) each day was than the others foretold: what happens without being asked.
    errors_wh = sorted(sign * ((sum(known) - wh) // (len(known) - 1) - wh) for wh in known)
    margin_wh = max(0, errors_wh[-(-len(known) * terms.sure_permille // PERMILLE) - 1])
    credited_wh = max(0, sign * (usual_wh - used_wh) - margin_wh)
    return Shifted(None, usual_wh, used_wh, credited_wh)
