"""Which policy counts when, from the log and what each closing knew of it (docs/spec/settlement.md, "Policy")."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from commonwatt.demo.judge.book import Book, PolicyEntry
from commonwatt.demo.judge.evidence import Closing
from commonwatt.demo.judge.report import Findings
from commonwatt.units import INTERVAL_S

PRODUCTION, MATCHED, SAVINGS, SHIFTING, HEAT, DECLARED = range(1, 7)  # sources
_NAMES = {PRODUCTION: "production", MATCHED: "matched", SAVINGS: "savings", SHIFTING: "shifting", HEAT: "heat"}

_KNOWN = {"version", "name", "grace_s", "window_s", "share_permille", "timezone", "evidence", "charge", "declared"}
_KNOWN |= {"money", "euro"}
"""What the judge reads again, or need not: charges and euros are entries of their own, what was deleted is not there,
and what the money is to be like makes none."""
_TERMS = {"rate_mc_per_kwh", "share_permille", "cap_mc_per_window", "cap_mc_per_day", "cap_mc_per_month"}
_TERMS |= {"grade_permille", "time"}
_FURTHER = {
    "savings": {"baseline_days", "period_days", "true_up_periods", "measure", "station", "weather_days"},
    "shifting": {"days", "sure_permille", "notice_s"},
}
_OF_DECLARED = {
    "unit",
    "rate_mc_per_unit",
    "age_days_max",
    *(f"cap_mc_per_{span}" for span in ("window", "day", "month")),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What one source earns: mc per kWh (or per unit), the association's share, and the table of the policy."""

    rate_mc: int
    share_permille: int = 0
    table: Mapping[str, Any] = field(default_factory=dict)

    def cap_mc(self, span: str) -> int | None:
        """The most that an account earns by it in a `window`, a local `day` or `month`."""
        return self.table.get(f"cap_mc_per_{span}")

    def grade_permille(self, grade: int) -> int:
        """How much of the rate counts by who signed: 1 the device, 2 a gateway."""
        return int(self.table.get("grade_permille", {}).get({1: "device", 2: "gateway"}.get(grade, ""), 1000))


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a policy file; sources by number, declared values by kind."""

    grace_s: int
    window_s: int
    share_permille: int
    sources: Mapping[int, Source]
    declared: Mapping[str, Source] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Paris"))

    def amount_mc(self, source: int, energy_wh: int) -> int:
        """What a claim is worth by the source's own rate alone."""
        return energy_wh * self.sources[source].rate_mc // 1000

    def share_permille_of(self, source: int) -> int:
        """Thousandths of a mint that go to the association."""
        return self.sources[source].share_permille if source in self.sources else self.share_permille

    def window_start_s(self, closing_s: int) -> int:
        """The window to which claims belong that were settled while the interval that ends then closed."""
        return (closing_s - INTERVAL_S) // self.window_s * self.window_s


@dataclass(frozen=True, slots=True)
class Policies:
    """Policies one after the other: the time from which each counts, a boundary of windows, and its SHA-256."""

    rows: list[tuple[int, Policy, bytes]]

    def of_interval(self, end_s: int) -> Policy:
        """The policy of the interval that ends then."""
        return self._row(end_s)[1]

    def sha256_of_interval(self, end_s: int) -> bytes:
        """Its name."""
        return self._row(end_s)[2]

    def _row(self, end_s: int) -> tuple[int, Policy, bytes]:
        return [row for row in self.rows if row[0] <= end_s - INTERVAL_S][-1]


def read_policies(book: Book, closings: Iterable[Closing], findings: Findings) -> Policies:
    """The policies of the log by the time from which they count, found by trying one boundary after the other."""
    rows: list[tuple[int, Policy, bytes]] = []
    for entry in book.policies:
        policy = _read(entry, findings)
        from_s = 0
        if rows:
            before_s, before, _ = rows[-1]
            closed_s = max((closing.end_s for closing in closings if closing.log_size <= entry.index), default=0)
            earliest_s = max(entry.time_s, before_s, closed_s)
            from_s = -(-earliest_s // policy.window_s) * policy.window_s
            while from_s % before.window_s != 0:
                from_s += policy.window_s
        rows.append((from_s, policy, entry.sha256))
    return Policies(rows)


def _read(entry: PolicyEntry, findings: Findings) -> Policy:
    """A policy; rules that the judge does not know are a difference, because nothing they did was judged."""
    table = tomllib.loads(entry.text)
    findings.expect(f"rules of the policy at {entry.index} that the judge cannot judge", [], sorted(_unknown(table)))
    share_permille = int(table["share_permille"])
    sources = {
        number: Source(
            int(table[name]["rate_mc_per_kwh"]),
            int(table[name].get("share_permille", share_permille)),
            table[name],
        )
        for number, name in _NAMES.items()
        if name in table
    }
    kinds = {
        kind: Source(int(terms["rate_mc_per_unit"]), share_permille, terms)
        for kind, terms in table.get("declared", {}).items()
    }
    zone = ZoneInfo(table.get("timezone", "Europe/Paris"))
    return Policy(int(table["grace_s"]), int(table["window_s"]), share_permille, sources, kinds, zone)


def _unknown(table: Mapping[str, Any]) -> set[str]:
    unknown = table.keys() - _KNOWN - set(_NAMES.values())
    for name in table.keys() & set(_NAMES.values()):
        unknown |= {f"{name}.{key}" for key in table[name].keys() - _TERMS - _FURTHER.get(name, set())}
    for kind, terms in table.get("declared", {}).items():
        unknown |= {f"declared.{kind}.{key}" for key in terms.keys() - _OF_DECLARED}
    return unknown
