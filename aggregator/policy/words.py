"""How policies speak of time and shares."""

from commonwatt.i18n import _
from commonwatt.units import format_credits
from ledger.book.charges import Terms
from ledger.book.measures import Cause


def duration(seconds: int) -> str:
    """Seconds in the largest unit that divides them: "6 h"."""
    for size, text in ((86_400, _("{count} d")), (3600, _("{count} h")), (60, _("{count} min"))):
        if seconds % size == 0 and seconds >= size:
            return text.format(count=seconds // size)
    return _("{count} s").format(count=seconds)


def percent(permille: int) -> str:
    """Thousandths as people write them: "12.5 %"."""
    return f"{permille / 10:g} %"


def charge(terms: Terms) -> str:
    """What a levy, demurrage or expiry takes, and how often."""
    every = duration(terms.period_s)
    match terms.cause:
        case Cause.LEVY:
            text = _("every {every}, {amount} of each account go to the association")
        case Cause.DEMURRAGE:
            text = _("every {every}, {share} % of what an account holds above {free} go to the association")
        case _cause:
            text = _("what was not spent for {every} goes to the association")
    words = text.format(
        every=every,
        amount=format_credits(terms.amount_mc),
        share=f"{terms.rate_ppm / 10_000:g}",
        free=format_credits(terms.free_mc),
    )
    return f"{words} ({terms.unit.name.lower()})"
