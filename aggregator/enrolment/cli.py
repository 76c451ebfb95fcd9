"""`commonwatt enrol expect|list|confirm|reject`: from a label to a member's device."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _

app = typer.Typer(no_args_is_help=True, help=_("Bind devices that were set up to their members."))

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_DEVICE = typer.Argument(help=_("The first column of `commonwatt enrol list`, or its beginning."))
_KEY = typer.Option(None, help=_("The steward's key file; default: the one in DIR/keys."))
_CLOCK = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now."))
DAY_S = 86_400


@app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@app.command("expect", help=_("Know the labels of devices that are given away."))
def expect_command(
    directory: Path = _DIRECTORY,
    labels: Path = typer.Argument(help=_("The lines that `commonwatt device enrol` printed.")),
    valid_days: int = typer.Option(180, min=1, max=3650, help=_("How long a claim may come.")),
    role: str = typer.Option("main", help=_("main, production or submeter.")),
    rated_power_w: int = typer.Option(9000, min=1, help=_("No reading may grow faster than this.")),
    grade: str = typer.Option("device", help=_("device: it signs itself; gateway: read over a bus.")),
    clock: str = _CLOCK,
) -> None:
    """Prints how many. A label known before is replaced."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.commune.roster import GRADES, ROLES
    from aggregator.enrolment.confirm import read_labels
    from aggregator.enrolment.store import enrolling
    from commonwatt.clock import CivilClock

    if role not in ROLES or grade not in GRADES:
        raise UserError(_("no device has role {role!r} and grade {grade!r}").format(role=role, grade=grade))
    expires_s = int(CivilClock.parse(clock).now_s()) + valid_days * DAY_S
    try:
        text = labels.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(_("cannot be read: {error}").format(error=error), where=labels) from error
    terms = {"expires_s": expires_s, "role": role, "rated_power_w": rated_power_w, "grade": grade}
    found = list(read_labels(text, where=labels, **terms))
    with enrolling(CommuneDirectory(directory).private_db) as store:
        store.expect(found)
    typer.echo(_("{count} labels are known until {day}").format(count=len(found), day=_day(expires_s)))


@app.command("list", help=_("Print every claim: device, when, member, and what stands against it."))
def list_command(
    directory: Path = _DIRECTORY,
    every: bool = typer.Option(False, "--all", help=_("Also what was admitted or rejected.")),
) -> None:
    """The aggregator may be running."""
    from aggregator.enrolment import confirm
    from aggregator.enrolment.judge import Unfit

    for row in confirm.waiting(directory):
        if every or row.unfit not in (Unfit.ADMITTED_BEFORE, Unfit.REJECTED):
            verdict = row.unfit.value if row.unfit else _("to be confirmed")
            typer.echo(f"{row.device.hex()}  {_day(row.received.received_s)}  {verdict:16}  {row.member}")


@app.command("confirm", help=_("Admit the device of a claim, at its member's site."))
def confirm_command(
    directory: Path = _DIRECTORY,
    device: str = _DEVICE,
    site: str = typer.Option("", help=_("The member's site; needed where there are several.")),
    new_site: str = typer.Option("", help=_("A site that is admitted with the device.")),
    name: str = typer.Option("", help=_("What people call the device.")),
    key: Path | None = _KEY,
    clock: str = _CLOCK,
) -> None:
    """The aggregator may be running: it admits the device at once and tells the gateways."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.enrolment import confirm
    from commonwatt.clock import CivilClock
    from commonwatt.identity import load_key

    claim = confirm.find(confirm.waiting(directory), device)
    answers = confirm.confirm(
        directory,
        claim,
        site=new_site or site,
        is_new_site=bool(new_site),
        name=name,
        steward=load_key(key or CommuneDirectory(directory).key_file("steward")),
        time_s=int(CivilClock.parse(clock).now_s()),
    )
    for proposal, _is_new in answers:
        typer.echo(f"{proposal.body.id.hex()}  {proposal.kind:8}  {proposal.name}")


@app.command("reject", help=_("Say no to a claim; another one of the device may come."))
def reject_command(
    directory: Path = _DIRECTORY,
    device: str = _DEVICE,
    reason: str = typer.Option(..., help=_("Why; it is kept in the private store.")),
) -> None:
    """Nothing of it comes into the log."""
    from aggregator.enrolment import confirm

    claim = confirm.find(confirm.waiting(directory), device)
    confirm.reject(directory, claim, reason)
    typer.echo(f"{claim.device.hex()}  {claim.member}")


def _day(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d")
