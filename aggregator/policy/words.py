"""How policies speak of time and shares."""

from aggregator.policy.terms import Capped, Grades, Source, Time
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


def caps(terms: Capped) -> str:
    """The most that one account earns: "2.000 a day, 40.000 a month"; empty without a cap."""
    texts = {"window": _("{amount} in each mint"), "day": _("{amount} a day"), "month": _("{amount} a month")}
    return ", ".join(texts[span].format(amount=format_credits(cap_mc)) for span, cap_mc in terms.caps)


def times(source: Source) -> str:
    """Other rates and when: "0.500 at 11:00-16:00, sat,sun, apr-sep"; empty without any."""
    return "; ".join(map(_time, source.time))


def grades(source: Source) -> str:
    """What readings earn by who signed them; empty where it makes no difference."""
    trust = source.grade_permille
    if trust == Grades():
        return ""
    return _("{device} of it if the meter reader signs, {gateway} if a gateway does").format(
        device=percent(trust.device), gateway=percent(trust.gateway)
    )


def _time(row: Time) -> str:
    always = Time(rate_mc_per_kwh=0)
    parts = [
        text for name in ("hours", "weekdays", "months") if (text := getattr(row, name)) != getattr(always, name)
    ]
    when = ", ".join(parts) or _("any time")
    return _("{rate} at {when}").format(rate=format_credits(row.rate_mc_per_kwh), when=when)


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
