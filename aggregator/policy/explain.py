"""A policy in plain words with a worked example, for the people who vote on it."""

from collections.abc import Callable

from aggregator.policy import words
from aggregator.policy.rules import Policy, Rules
from aggregator.policy.terms import PERMILLE, Source
from aggregator.policy.words import charge, duration
from commonwatt.i18n import _
from commonwatt.units import MC_PER_CREDIT, WH_PER_KWH, format_credits, format_kwh
from ledger.book import mint

EXAMPLE_WH = 10_000
EXAMPLE_MATCHED_WH = 6_000


def explain(policy: Policy) -> str:
    """What the rules mean for a producer, a neighbour and the association."""
    return "\n".join([*_rules(policy), "", *_example(policy.rules), "", _unpaid(policy.rules)])


def _rules(policy: Policy) -> list[str]:
    rules = policy.rules
    return [
        _("{name}, version {version}").format(name=rules.name, version=rules.version),
        _("Named in every mint-run by SHA-256 {digest}").format(digest=policy.sha256.hex()),
        "",
        _("Local production earns {rate} credits a kilowatt-hour.").format(
            rate=format_credits(rules.production.rate_mc_per_kwh)
        ),
        *_further(rules.production, rules),
        _(
            "Who uses a neighbour's local energy in the same quarter of an hour earns {rate} credits a kilowatt-hour."
        ).format(rate=format_credits(rules.matched.rate_mc_per_kwh)),
        *_further(rules.matched, rules),
        *_measured(
            rules.savings,
            _("Who takes part and saves earns {rate} credits a kilowatt-hour: {how}."),
            words.savings,
            rules,
        ),
        *_measured(
            rules.shifting,
            _("Who shifts use as the operator asks earns {rate} credits a kilowatt-hour: {how}."),
            words.shifting,
            rules,
        ),
        *_heat(rules),
        *_declared(rules),
        _("Of every credit made, {share} % go to the association; the member receives the rest.").format(
            share=f"{rules.share_permille / 10:g}"
        ),
        _("A quarter of an hour waits {grace} for late readings before it is settled.").format(
            grace=duration(rules.grace_s)
        ),
        _("Credits are made once for every {window}, per account and source.").format(
            window=duration(rules.window_s)
        ),
        _("What devices signed is kept {time}.").format(time=words.kept(rules.evidence)),
        _("Dashboards warn when of the money in circulation less than this holds: {band}.").format(
            band=words.band(rules.money)
        ),
        *_fee(rules),
        *(_("Charge: {terms}.").format(terms=charge(terms)) for terms in rules.charges),
    ]


def _measured(source: Source | None, text: str, how: Callable[[Rules], str], rules: Rules) -> list[str]:
    """A source that is measured against what a home usually uses."""
    if source is None:
        return []
    rate = format_credits(source.rate_mc_per_kwh)
    return [text.format(rate=rate, how=how(rules)), *_further(source, rules)]


def _fee(rules: Rules) -> list[str]:
    permille = rules.euro.redeem_fee_permille
    text = _("A shop that gives euro credits back leaves {share} % of the euros to the association.")
    return [text.format(share=f"{permille / 10:g}")] if permille else []


def _heat(rules: Rules) -> list[str]:
    if rules.heat is None:
        return []
    rate = format_credits(rules.heat.rate_mc_per_kwh)
    return [
        _("Renewable heat earns {rate} credits a kilowatt-hour, by heat meters.").format(rate=rate),
        *_further(rules.heat, rules),
    ]


def _declared(rules: Rules) -> list[str]:
    """Kinds of values that a person declares and a second one confirms."""
    return [
        _(
            "Whoever gives “{kind}” earns {rate} for each {unit} that a second person confirms within {days} days,"
            " at most {caps}."
        ).format(
            kind=kind,
            rate=format_credits(terms.rate_mc_per_unit),
            unit=terms.unit,
            days=terms.age_days_max,
            caps=words.caps(terms),
        )
        for kind, terms in rules.declared.items()
    ]


def _further(source: Source, rules: Rules) -> list[str]:
    """What else is said of a source, each in an indented line."""
    own = source.share_permille
    texts = [
        _("At other times: {times} ({clock}).").format(times=words.times(source), clock=rules.timezone)
        if source.time
        else "",
        _("One account earns at most {caps} by it; what is above is not made.").format(caps=words.caps(source))
        if source.caps
        else "",
        _("It counts {grades}.").format(grades=words.grades(source)) if words.grades(source) else "",
        _("Of it the association receives {share}.").format(share=words.percent(own)) if own is not None else "",
    ]
    return [f"  {text}" for text in texts if text]


def _example(rules: Rules) -> list[str]:
    produced_mc = EXAMPLE_WH * rules.production.rate_mc_per_kwh // WH_PER_KWH
    matched_mc = EXAMPLE_MATCHED_WH * rules.matched.rate_mc_per_kwh // WH_PER_KWH
    shares = [
        amount_mc * rules.share_permille_of(source) // PERMILLE
        for source, amount_mc in ((mint.SOURCE_PRODUCTION, produced_mc), (mint.SOURCE_MATCHED, matched_mc))
    ]
    return [
        _("For example, a roof makes {made}, and neighbours use {used} of it as it is made:").format(
            made=format_kwh(EXAMPLE_WH), used=format_kwh(EXAMPLE_MATCHED_WH)
        ),
        "  "
        + _("the roof's owner receives {amount} credits,").format(amount=format_credits(produced_mc - shares[0])),
        "  " + _("the neighbours share {amount} credits,").format(amount=format_credits(matched_mc - shares[1])),
        "  " + _("the association receives {amount} credits.").format(amount=format_credits(sum(shares))),
    ]


def _unpaid(rules: Rules) -> str:
    return _("A kilowatt-hour makes at most {total} credits in all; it can never make more than {par}.").format(
        total=format_credits(rules.highest_total_mc), par=format_credits(MC_PER_CREDIT)
    )
