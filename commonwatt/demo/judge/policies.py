"""Which policy counts when, from the log and what each closing knew of it (docs/spec/settlement.md, "Policy")."""

import tomllib
from collections.abc import Iterable

from commonwatt.demo.judge.book import Book, PolicyEntry
from commonwatt.demo.judge.evidence import Closing
from commonwatt.demo.judge.report import Findings
from commonwatt.demo.judge.settle import FROM_MATCHING, FROM_PRODUCTION, Policies, Policy

_RATE_TABLES = {FROM_PRODUCTION: "production", FROM_MATCHING: "matched"}


_KNOWN = {"version", "name", "grace_s", "window_s", "share_permille", "timezone", "charge", *_RATE_TABLES.values()}
"""What the judge reads again, or need not: charges are entries of their own, and without hours no clock is asked."""


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
    unknown = [key for key in table if key not in _KNOWN]
    unknown += [f"{name}.{key}" for name in _RATE_TABLES.values() for key in table[name] if key != "rate_mc_per_kwh"]
    findings.expect(f"rules of the policy at {entry.index} that the judge cannot judge", [], unknown)
    rates = {source: int(table[name]["rate_mc_per_kwh"]) for source, name in _RATE_TABLES.items()}
    return Policy(int(table["grace_s"]), int(table["window_s"]), int(table["share_permille"]), rates)
