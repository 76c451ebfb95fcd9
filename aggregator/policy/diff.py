"""What a proposed policy changes, one line a rule, in plain words."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from aggregator.policy import words
from aggregator.policy.rules import Policy, Rules
from aggregator.policy.terms import Source
from aggregator.policy.words import charge, duration, percent
from commonwatt.i18n import _
from commonwatt.units import format_credits
from ledger.book import mint


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that differs, as people read it."""

    rule: str
    before: str
    after: str


def changes(before: Policy, after: Policy) -> list[Change]:
    """Every rule that differs, in the order of the policy file; none if only comments or spaces do."""
    texts = [(rule, text(before.rules), text(after.rules)) for rule, text in [*_rules(), *_sources()]]
    return [Change(rule, old, new) for rule, old, new in texts if old != new]


def problem(before: Policy, after: Policy) -> str | None:
    """Why the ledger would not take `after` in place of `before`, or None."""
    if after.sha256 == before.sha256:
        return _("It is the policy that is in force.")
    if after.rules.version <= before.rules.version:
        return _("Its version is {version}; it must be greater than {before}.").format(
            version=after.rules.version, before=before.rules.version
        )
    return None


def _rules() -> list[tuple[str, Callable[[Rules], str]]]:
    return [
        (_("version"), lambda rules: str(rules.version)),
        (_("name"), lambda rules: rules.name),
        (_("wait for late readings"), lambda rules: duration(rules.grace_s)),
        (_("time that one mint covers"), lambda rules: duration(rules.window_s)),
        (_("the association's share"), lambda rules: percent(rules.share_permille)),
        (_("credits for a kWh produced"), lambda rules: format_credits(rules.production.rate_mc_per_kwh)),
        (_("credits for a kWh of a neighbour's"), lambda rules: format_credits(rules.matched.rate_mc_per_kwh)),
        (_("credits for a kWh saved"), lambda rules: _rate(rules.savings)),
        (_("how savings are measured"), lambda rules: words.savings(rules) or _("not at all")),
        (_("credits for a kWh shifted"), lambda rules: _rate(rules.shifting)),
        (_("how shifting is measured"), lambda rules: words.shifting(rules) or _("not at all")),
        (_("credits for a kWh of renewable heat"), lambda rules: _rate(rules.heat)),
        (_("declared values"), lambda rules: words.declared(rules) or _("none")),
        (_("whose clock"), lambda rules: rules.timezone),
        (_("what devices signed is kept"), lambda rules: words.kept(rules.evidence)),
        (_("money in circulation"), lambda rules: words.band(rules.money)),
        (_("fee for euros"), lambda rules: percent(rules.euro.redeem_fee_permille)),
        (_("charges"), lambda rules: "; ".join(map(charge, rules.charges)) or _("none")),
    ]


def _sources() -> list[tuple[str, Callable[[Rules], str]]]:
    """What each source has beside its rate, and whether it is there at all."""
    names = {
        mint.SOURCE_PRODUCTION: _("production"),
        mint.SOURCE_MATCHED: _("a neighbour's energy"),
        mint.SOURCE_SAVINGS: _("savings"),
        mint.SOURCE_SHIFTING: _("shifting"),
        mint.SOURCE_HEAT: _("renewable heat"),
    }
    return [
        (f"{name}: {label}", partial(_of_source, number, text))
        for number, name in names.items()
        for label, text in (
            (_("at other times"), words.times),
            (_("at most for one account"), words.caps),
            (_("by who signs"), words.grades),
            (_("the association's own share"), _share),
        )
    ]


def _rate(source: Source | None) -> str:
    return _("none") if source is None else format_credits(source.rate_mc_per_kwh)


def _of_source(number: int, text: Callable[[Source], str], rules: Rules) -> str:
    source = rules.sources.get(number)
    return (text(source) if source is not None else "") or "–"


def _share(source: Source) -> str:
    return "" if source.share_permille is None else percent(source.share_permille)
