"""How policies speak of time and shares."""

from commonwatt.i18n import _


def duration(seconds: int) -> str:
    """Seconds in the largest unit that divides them: "6 h"."""
    for size, text in ((86_400, _("{count} d")), (3600, _("{count} h")), (60, _("{count} min"))):
        if seconds % size == 0 and seconds >= size:
            return text.format(count=seconds // size)
    return _("{count} s").format(count=seconds)


def percent(permille: int) -> str:
    """Thousandths as people write them: "12.5 %"."""
    return f"{permille / 10:g} %"
