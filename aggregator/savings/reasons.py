"""Why a home's saving cannot be told. Checked in this order; the first that holds is shown to the home."""

from enum import IntEnum

from commonwatt.i18n import _


class Reason(IntEnum):
    """Numbers are for files and never change."""

    DAYS_MISSING = 1
    NO_USE = 2
    BACKWARDS = 3
    TOO_FEW_TO_COMPARE = 4
    WEATHER_UNKNOWN = 5
    WEATHER_BEYOND = 6
    UNPREDICTABLE = 7
    CHANGED = 8


def sentence(reason: Reason) -> str:
    """What the home reads."""
    return {
        Reason.DAYS_MISSING: _("Too many days were not measured whole."),
        Reason.NO_USE: _("Nothing or almost nothing was used: there is nothing to save from."),
        Reason.BACKWARDS: _("On some day less than nothing was used: the meter does not count what it should."),
        Reason.TOO_FEW_TO_COMPARE: _("Too few homes that take no part can be compared with."),
        Reason.WEATHER_UNKNOWN: _("The weather of some of these days is not known."),
        Reason.WEATHER_BEYOND: _("It was much colder or warmer than while your usual use was learnt."),
        Reason.UNPREDICTABLE: _("Your days differ too much from each other to know what you would have used."),
        Reason.CHANGED: _("Your use changed by itself while it was learnt; it will be learnt again."),
    }[reason]
