"""What a proposed policy changes, one line a rule, in plain words."""

from collections.abc import Callable
from dataclasses import dataclass

from aggregator.policy.rules import Policy, Rules
from aggregator.policy.words import charge, duration, percent
from commonwatt.i18n import _
from commonwatt.units import format_credits


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that differs, as people read it."""

    rule: str
    before: str
    after: str


def changes(before: Policy, after: Policy) -> list[Change]:
    """Every rule that differs, in the order of the policy file; none if only comments or spaces do."""
    texts = [(rule, text(before.rules), text(after.rules)) for rule, text in _rules()]
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
        (_("charges"), lambda rules: "; ".join(map(charge, rules.charges)) or _("none")),
    ]
