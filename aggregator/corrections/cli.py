"""`commonwatt corrections make|confirm|list`: what was settled of a device and is not true."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import format_credits, format_kwh

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from aggregator.corrections.minted import Carried

app = typer.Typer(no_args_is_help=True, help=_("Take back what was settled of a device and is not true."))

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_STEWARD = typer.Option(None, help=_("The steward's key file, for the entry; default: the one in DIR/keys."))
_CLOCK = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now."))


@app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@app.command("make", help=_("Say what is true of a device in a time; a second role has to confirm it."))
def make_command(
    directory: Path = _DIRECTORY,
    device: str = typer.Argument(help=_("The device, by its name or id.")),
    start: str = typer.Option(..., "--from", help=_("When it begins, by the commune's clock: 2026-12-01T18:00.")),
    end: str = typer.Option(..., "--to", help=_("When it ends.")),
    wh: int = typer.Option(..., min=0, max=10**15, help=_("How many Wh of what was settled are true; often 0.")),
    reason: str = typer.Option(help=_("What was found, for those who confirm, those it concerns, and auditors.")),
    attach: list[Path] = typer.Option([], help=_("A photograph or paper, once for each.")),
    key: list[Path] = typer.Option(
        [], help=_("The key file of a role that signs, once for each; default: the steward's.")
    ),
    steward: Path | None = _STEWARD,
    clock: str = _CLOCK,
) -> None:
    """Prints what it takes back; refuses what would take nothing back."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.corrections import making
    from aggregator.earning.local_time import time_of
    from aggregator.policy.rules import Policy
    from commonwatt.clock import CivilClock
    from commonwatt.identity import load_key

    place = CommuneDirectory(directory)
    zone = Policy.load(place.policy_toml).rules.zone
    meter = making.device_of(directory, device)
    span_s = (time_of(start, zone, where="--from"), time_of(end, zone, where="--to"))
    effect = making.effect(directory, meter, *span_s, wh)
    own = load_key(steward or place.key_file("steward"))
    statement = making.make(
        directory,
        meter.device,
        span_s,
        wh,
        reason=reason,
        attachments=attach,
        keys=[load_key(path) for path in key] or [own],
        steward=own,
        time_s=int(CivilClock.parse(clock).now_s()),
    )
    name = making.name_of(statement.digest)
    typer.echo(
        _("{name}: {before} were minted in {spans} spans; {energy} and {credits} credits are taken back.").format(
            name=name,
            before=format_kwh(effect.before_wh),
            spans=effect.spans,
            energy=format_kwh(effect.back_wh),
            credits=format_credits(effect.back_mc),
        )
    )
    if statement in making.listed(directory).waiting:
        typer.echo(
            _("Another role confirms with: commonwatt corrections confirm {directory} {name} --key KEY").format(
                directory=directory, name=name
            )
        )


@app.command("confirm", help=_("Confirm, as a second role, a correction that waits."))
def confirm_command(
    directory: Path = _DIRECTORY,
    correction: str = typer.Argument(help=_("The first column of `commonwatt corrections list`.")),
    key: Path = typer.Option(help=_("The key file of a role that has not signed it.")),
    steward: Path | None = _STEWARD,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place; refuses if the papers are missing or were changed."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.corrections import making
    from aggregator.statements import papers
    from commonwatt.clock import CivilClock
    from commonwatt.identity import load_key

    waiting = making.listed(directory).waiting
    statement = making.find(list(waiting), correction)
    if papers.read(directory, statement.digest) is None:
        raise UserError(_("its papers are missing or were changed"), where=correction)
    at = making.sign(
        directory,
        statement,
        key=load_key(key),
        steward=load_key(steward or CommuneDirectory(directory).key_file("steward")),
        time_s=int(CivilClock.parse(clock).now_s()),
    )
    if statement in making.listed(directory).waiting:
        raise UserError(
            _("this role has signed it before: another one has to confirm"),
            where=correction,
            to_do=_("name the key of another role with --key"),
        )
    typer.echo(
        _("Entry {place} of the log. It is carried out when the aggregator closes its next window.").format(place=at)
    )


@app.command("list", help=_("Print every correction with its reason and what it took back, and who still owes."))
def list_command(directory: Path = _DIRECTORY) -> None:
    """Reads the published log, the papers and the database, so it may be asked while the aggregator runs."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.corrections import making, minted
    from aggregator.policy.rules import Policy
    from aggregator.private.store import PrivateStore
    from aggregator.reading import reading
    from aggregator.statements import papers
    from ledger.book.show import source_name

    place = CommuneDirectory(directory)
    zone = Policy.load(place.policy_toml).rules.zone
    names = PrivateStore(place.private_db)
    found = making.listed(directory)
    with reading(directory) as connection:
        carried, owed = minted.carried(connection), minted.owed(connection)
    rows = [(row.device, row.start_s, row.end_s, row.digest, _state(carried.get(row.place))) for row in found.agreed]
    for said, roles in found.waiting.items():
        state = _("waits for another role; signed by {roles}").format(roles=", ".join(roles))
        rows.append((said.subject, said.start_s, said.end_s, said.digest, state))
    for device, start_s, end_s, digest, state in rows:
        kept = papers.read(directory, digest)
        words = _("its papers are missing or were changed") if kept is None else kept.text
        span = f"{_minute(start_s, zone)} – {_minute(end_s, zone)}"
        typer.echo(f"{making.name_of(digest)}  {names.name_of(device)}  {span}  {state}  {words}")
    for row in owed:
        typer.echo(
            _("{name} owes {credits} credits of {source}: what comes next balances them first").format(
                name=names.name_of(row.account),
                credits=format_credits(row.amount_mc),
                source=source_name(row.source),
            )
        )


def _state(carried: "Carried | None") -> str:
    if carried is None:
        return _("carried out with the next window")
    return _("of {before} taken back {energy}, {credits} credits").format(
        before=format_kwh(carried.before_wh),
        energy=format_kwh(carried.back_wh),
        credits=format_credits(carried.back_mc),
    )


def _minute(time_s: int, zone: "ZoneInfo") -> str:
    return datetime.fromtimestamp(time_s, zone).strftime("%Y-%m-%d %H:%M")
