"""How policies speak of time and shares."""

from aggregator.policy.rules import Keeping, Rules
from aggregator.policy.terms import Band, Capped, Grades, Source, Time
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


def kept(evidence: Keeping) -> str:
    """How long signed blocks are kept."""
    if evidence.keep_days is None:
        return _("for good")
    return _("for {count} days, then only its hash").format(count=evidence.keep_days)


def band(money: Band) -> str:
    """What the money in circulation is to be like."""
    return _("{coverage} covered at least, {velocity} spent in 30 days at least").format(
        coverage=percent(money.coverage_permille_min), velocity=percent(money.velocity_permille_min)
    )


def percent(permille: int) -> str:
    """Thousandths as people write them: "12.5 %"."""
    return f"{permille / 10:g} %"


def caps(terms: Capped) -> str:
    """The most that one account earns: "2.000 a day, 40.000 a month"; empty without a cap."""
    texts = {"window": _("{amount} in each mint"), "day": _("{amount} a day"), "month": _("{amount} a month")}
    return ", ".join(texts[span].format(amount=format_credits(cap_mc)) for span, cap_mc in terms.caps)


def declared(rules: Rules) -> str:
    """What declared values earn: "time: 10.000 for each h, at most 200.000 a month"; empty without any."""
    text = _("{kind}: {rate} for each {unit} within {days} d, at most {caps}")
    return "; ".join(
        text.format(
            kind=kind,
            rate=format_credits(terms.rate_mc_per_unit),
            unit=terms.unit,
            days=terms.age_days_max,
            caps=caps(terms),
        )
        for kind, terms in sorted(rules.declared.items())
    )


def savings(rules: Rules) -> str:
    """How savings are measured; empty if they are not."""
    terms = rules.savings
    if terms is None:
        return ""
    text = _(
        "against {days} days before taking part and homes that take no part, every {period} days, at the lower bound"
        " of {sure} confidence; {held} of it held until {periods} periods are measured again as one"
    )
    said = text.format(
        days=terms.baseline_days,
        period=terms.period_days,
        sure=percent(terms.measure.confidence_permille),
        held=percent(terms.measure.held_permille),
        periods=terms.true_up_periods,
    )
    if not terms.station:
        return said
    return said + _("; {days} days later, unless it was colder or warmer at {station} than then").format(
        days=terms.weather_days, station=terms.station
    )


def shifting(rules: Rules) -> str:
    """How shifting is measured; empty if it is not."""
    terms = rules.shifting
    if terms is None:
        return ""
    text = _(
        "against the home's mean use at that time on {days} comparable days, beyond the error that {sure} of such"
        " days stay below, if announced {notice} before"
    )
    return text.format(days=terms.days, sure=percent(terms.sure_permille), notice=duration(terms.notice_s))


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
