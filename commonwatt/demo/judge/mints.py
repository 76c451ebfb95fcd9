"""From the judge's own claims to the mints that the log should have, and back to the lines behind them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from commonwatt.demo.judge.balance import Balance
from commonwatt.demo.judge.book import Mint
from commonwatt.demo.judge.evidence import Closing
from commonwatt.demo.judge.log import leaf_hash, tree_root
from commonwatt.demo.judge.policies import Policies
from commonwatt.demo.judge.report import Findings
from commonwatt.demo.judge.settle import Claim
from commonwatt.demo.judge.signatures import encode
from commonwatt.demo.judge.stated import Statement
from commonwatt.demo.judge.worth import worth
from commonwatt.units import INTERVAL_S

Key = tuple[int, bytes, int]
"""Start of the window, account, source."""


@dataclass(frozen=True, slots=True)
class ExpectedMint:
    """What one leaf should say, and the claims behind it."""

    key: Key
    window_end_s: int
    energy_wh: int
    amount_mc: int
    association_mc: int
    claims: tuple[Claim, ...]


def expected_mints(
    claims: Iterable[Claim], policies: Policies, closings: Iterable[Closing], corrections: Iterable[Statement]
) -> list[ExpectedMint]:
    """One mint per window, account and source, for the windows whose last interval has closed."""
    windows: dict[int, list[Claim]] = defaultdict(list)
    for claim in worth(claims, policies):
        windows[policies.of_interval(claim.closing_s).window_start_s(claim.closing_s)].append(claim)
    balance = Balance(corrections)
    groups: dict[Key, list[Claim]] = defaultdict(list)
    closed_until_s = 0
    for closing in closings:
        closed_until_s = closing.end_s
        policy = policies.of_interval(closing.end_s)
        if closing.end_s % policy.window_s == 0:
            start_s = closing.end_s - policy.window_s
            for claim in balance.window(windows.pop(start_s, ()), closing.end_s, closing.log_size):
                groups[start_s, claim.account, claim.source].append(claim)
    mints = []
    for key, group in sorted(groups.items()):
        policy = policies.of_interval(key[0] + INTERVAL_S)
        gross_mc = sum(claim.amount_mc for claim in group)
        association_mc = gross_mc * policy.share_permille_of(key[2]) // 1000
        window_end_s = key[0] + policy.window_s
        if window_end_s <= closed_until_s and gross_mc > 0:
            energy_wh = sum(claim.energy_wh for claim in group)
            amount_mc = gross_mc - association_mc
            mints.append(ExpectedMint(key, window_end_s, energy_wh, amount_mc, association_mc, tuple(group)))
    return mints


def check_mints(expected: list[ExpectedMint], leaves: list[Mint], findings: Findings) -> None:
    """The log has exactly the expected leaves, to the Wh and the mc."""
    names = [(leaf.window_start_s, leaf.account, leaf.source) for leaf in leaves]
    findings.expect("mints with a window, account and source of their own", len(names), len(set(names)))
    findings.compare(
        "mint",
        {_name(mint.key): _figures(mint) + f", {len(mint.claims)} lines" for mint in expected},
        {_name(key): _figures(leaf) + f", {leaf.lines} lines" for key, leaf in zip(names, leaves, strict=True)},
    )


def check_lines(
    expected: list[ExpectedMint], leaves: list[Mint], rows: list[tuple[Any, ...]], findings: Findings
) -> None:
    """The lines that the aggregator keeps are the judge's claims, and hash to the roots in the log."""
    lines: dict[Key, list[list[Any]]] = defaultdict(list)
    for window_start_s, account, source, *line in rows:
        lines[window_start_s, account, source].append(line)
    for leaf in leaves:
        key = (leaf.window_start_s, leaf.account, leaf.source)
        root = tree_root(tuple(leaf_hash(encode(line)) for line in lines[key]))
        findings.expect(f"mint {_name(key)}: root of its lines", leaf.lines_root, root)
    for mint in expected:
        found = sorted(line[1:] for line in lines[mint.key])
        findings.expect(f"mint {_name(mint.key)}: lines", sorted(_line(claim) for claim in mint.claims), found)


def _line(claim: Claim) -> list[Any]:
    span = [claim.device, claim.start_s, claim.end_s, claim.revision]
    return [*span, claim.energy_wh, claim.amount_mc, claim.block_sha256]


def _name(key: Key) -> str:
    window_start_s, account, source = key
    return f"of window {window_start_s}, account {account.hex()}, source {source}"


def _figures(mint: Mint | ExpectedMint) -> str:
    until = f"until {mint.window_end_s}"
    return f"{until}: {mint.energy_wh} Wh, {mint.amount_mc} mc and {mint.association_mc} mc to the association"
