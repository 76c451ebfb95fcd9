"""python -m commonwatt.demo.judge DIR: exit 0 only if everything balances, else 1 and the differences by name."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from commonwatt.demo.judge.judge import judge
from commonwatt.demo.judge.report import JudgeReport
from commonwatt.i18n import _
from commonwatt.units import format_credits, format_kwh

SHOWN_MAX = 40
"""Differences that are written out; one mistake often shows in many places."""


def main(arguments: list[str] | None = None) -> int:
    """Judge and tell."""
    parser = argparse.ArgumentParser(prog="python -m commonwatt.demo.judge", description=__doc__)
    parser.add_argument(
        "directory",
        type=Path,
        help="the commune: log/, log.vkey, policy.toml, aggregator.db, demo.json, registers.csv",
    )
    parser.add_argument("--registers", type=Path, help="what the meters replayed, if not DIR/registers.csv")
    parser.add_argument("--brief", action="store_true", help="the verdict only")
    options = parser.parse_args(arguments)
    report = judge(options.directory, options.registers)
    console = Console(highlight=False)
    if not options.brief:
        _show_tables(console, report, _names(options.directory))
    _show_verdict(console, report)
    return 0 if report.balanced else 1


def _names(directory: Path) -> dict[str, str]:
    accounts = json.loads((directory / "demo.json").read_text()).get("accounts", {})
    return {identifier: name for name, identifier in accounts.items()} | {bytes(16).hex(): "issuance"}


def _show_tables(console: Console, report: JudgeReport, names: dict[str, str]) -> None:
    energies = Table(
        _("register"), "registers.csv", _("signed readings"), title=_("Energy over the whole run"), box=None
    )
    for energy in report.energies:
        name = energy.device + {1: " import", 2: " export"}.get(energy.quantity, "")
        energies.add_row(name, format_kwh(energy.registers_wh), format_kwh(energy.evidence_wh))
    balances = Table(_("account"), _("computed again"), _("in the log"), title=_("Credits"), box=None)
    order = list(names)
    known = sorted(report.balances, key=lambda b: order.index(b.account.hex()) if b.account.hex() in names else -1)
    for balance in known:
        name = names.get(balance.account.hex(), balance.account.hex()[:8])
        balances.add_row(name, format_credits(balance.expected_mc), format_credits(balance.log_mc))
    sources = Table(_("source"), _("mints"), "kWh", _("credits"), title=_("What was earned, by source"), box=None)
    for line in report.sources:
        name = _source_names().get(line.source, str(line.source))
        sources.add_row(name, str(line.mints), format_kwh(line.energy_wh), format_credits(line.amount_mc))
    for table in (energies, balances, sources):
        for column in table.columns[1:]:
            column.justify = "right"
        console.print(table)
    console.print(", ".join(f"{count} {what}" for what, count in report.counts.items()), soft_wrap=True)


def _source_names() -> dict[int, str]:
    return {
        1: _("local production"),
        2: _("a neighbour's energy used"),
        3: _("savings"),
        4: _("shifted out of peaks"),
        5: _("renewable heat"),
        6: _("declared and confirmed"),
    }


def _show_verdict(console: Console, report: JudgeReport) -> None:
    if report.balanced:
        console.print(_("The books balance, to the watt-hour and the milli-credit."), style="green")
        return
    console.print(
        _("The books do not balance: {count} differences.").format(count=len(report.differences)), style="red"
    )
    for difference in report.differences[:SHOWN_MAX]:
        console.print(f"  {difference}", soft_wrap=True, markup=False)
    if len(report.differences) > SHOWN_MAX:
        console.print(_("  … and {count} more").format(count=len(report.differences) - SHOWN_MAX))


if __name__ == "__main__":
    raise SystemExit(main())
