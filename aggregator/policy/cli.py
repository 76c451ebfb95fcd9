"""`commonwatt policy check|explain|diff|replay|enact`: for the people who vote on the rules."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import format_credits

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregator.policy.history import History
    from aggregator.policy.replay import Outcome

app = typer.Typer(no_args_is_help=True, help=_("Check, explain, compare and try the rules that make credits."))

_UNITS_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
_FILE = typer.Argument(help=_("A policy file (TOML)."))


@app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@app.command("check", help=_("Check a policy file; a mistake is named with its place."))
def check_command(file: Path = _FILE) -> None:
    """Prints the hash by which mint-runs would name it."""
    from aggregator.policy.rules import Policy

    typer.echo(f"{Policy.load(file).sha256.hex()}  {file}")


@app.command("explain", help=_("Say in plain words what a policy does, with an example."))
def explain_command(file: Path = _FILE) -> None:
    """Also checks the file."""
    from aggregator.policy.explain import explain
    from aggregator.policy.rules import Policy

    typer.echo(explain(Policy.load(file)))


@app.command("diff", help=_("Say in plain words what a proposed policy changes."))
def diff_command(
    before: Path = typer.Argument(help=_("The policy in force.")),
    after: Path = typer.Argument(help=_("The proposed policy.")),
) -> None:
    """Ends with 1 if the ledger would not take the new one."""
    from aggregator.policy import diff
    from aggregator.policy.rules import Policy

    old, new = Policy.load(before), Policy.load(after)
    changes = diff.changes(old, new)
    width = max((len(change.rule) for change in changes), default=0)
    for change in changes:
        typer.echo(f"{change.rule:{width}}  {change.before} → {change.after}")
    if not changes:
        typer.echo(_("No rule differs."))
    if (problem := diff.problem(old, new)) is not None:
        typer.echo(_("It cannot be adopted as it stands. {problem}").format(problem=problem))
        raise typer.Exit(1)


@app.command("replay", help=_("Show who would have earned what under a proposed policy."))
def replay_command(
    directory: Path = typer.Argument(help=_("The directory of a commune.")),
    proposal: Path = typer.Argument(help=_("The proposed policy.")),
    last: str = typer.Option("90d", help=_("How far back: 12h, 90d, 13w.")),
    anonymous: bool = typer.Option(False, "--anonymous", help=_("Print the beginnings of ids instead of names.")),
    as_json: bool = typer.Option(False, "--json", help=_("Print a JSON object instead of a table.")),
) -> None:
    """Reads only, so the aggregator may be running. Nothing is changed and nobody is told."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.policy import history
    from aggregator.policy.replay import replay
    from aggregator.policy.rules import Policy
    from aggregator.private.store import PrivateStore

    place = CommuneDirectory(directory)
    before, after = Policy.load(place.policy_toml), Policy.load(proposal)
    past = history.read(directory, _seconds(last), (before.rules, after.rules))
    measured_before, measured_after = past.measured
    outcome = replay((measured_before, before.rules), (measured_after, after.rules))
    if as_json:
        typer.echo(json.dumps(_as_json(outcome, past), indent=1))
        return
    names = PrivateStore(place.private_db)
    _print(outcome, past, lambda account: account.hex()[:8] if anonymous else names.name_of(account))


@app.command("enact", help=_("Put a policy into the ledger."))
def enact_command(
    directory: Path = typer.Argument(help=_("The directory of a commune.")),
    file: Path = typer.Argument(help=_("The policy that was voted for.")),
    key: list[Path] = typer.Option(
        [], help=_("A key file, once for each who signs; default: the steward's and the town hall's.")
    ),
    clock: str = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now.")),
) -> None:
    """Prints the entry's place and from when the policy counts."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.commune.init import POLICY_SIGNERS
    from aggregator.policy.enact import enact
    from aggregator.policy.rules import Policy
    from commonwatt.clock import CivilClock
    from commonwatt.identity import load_key

    files = key or [CommuneDirectory(directory).key_file(role) for role in POLICY_SIGNERS]
    time_s = int(CivilClock.parse(clock).now_s())
    enactment = enact(directory, Policy.load(file), [load_key(path) for path in files], time_s=time_s)
    typer.echo(
        _("Entry {place} of the log. It counts for what is measured from {start} UTC on.").format(
            place=enactment.place, start=_day(enactment.from_s)
        )
    )


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text)
    if match is None:
        raise UserError(
            _("{text!r} is no span of time").format(text=text), where="--last", to_do=_("12h, 90d or 13w")
        )
    return int(match[1]) * _UNITS_S[match[2]]


def _print(outcome: "Outcome", past: "History", name_of: "Callable[[bytes], str]") -> None:
    rows = [
        (name_of(account), outcome.before_mc.get(account, 0), outcome.after_mc.get(account, 0))
        for account in outcome.accounts
    ]
    rows.append((_("association"), outcome.association_before_mc, outcome.association_after_mc))
    rows.append((_("all credits made"), outcome.total_before_mc, outcome.total_after_mc))
    width = max(len(name) for name, _before, _after in rows)
    typer.echo(_("Settled from {start} to {end} UTC").format(start=_day(past.start_s), end=_day(past.end_s)))
    typer.echo(f"{'':{width}}  {_('now'):>14}  {_('proposed'):>14}  {_('change'):>14}")
    for name, before_mc, after_mc in rows:
        change = format_credits(after_mc - before_mc)
        sign = "+" if after_mc > before_mc else ""
        typer.echo(
            f"{name:{width}}  {format_credits(before_mc):>14}  {format_credits(after_mc):>14}  {sign + change:>14}"
        )


def _day(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M")


def _as_json(outcome: "Outcome", past: "History") -> dict[str, object]:
    return {
        "start_s": past.start_s,
        "end_s": past.end_s,
        "accounts": {
            account.hex(): {
                "before_mc": outcome.before_mc.get(account, 0),
                "after_mc": outcome.after_mc.get(account, 0),
            }
            for account in outcome.accounts
        },
        "association": {"before_mc": outcome.association_before_mc, "after_mc": outcome.association_after_mc},
        "total": {"before_mc": outcome.total_before_mc, "after_mc": outcome.total_after_mc},
    }
