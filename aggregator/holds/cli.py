"""`commonwatt holds list|release|reject`: what waits for a steward, and what the steward decides."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from commonwatt.i18n import _
from commonwatt.units import format_kwh

app = typer.Typer(no_args_is_help=True, help=_("Review measurements that are hard to believe."))

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_HOLD = typer.Argument(help=_("The first column of `commonwatt holds list`."))
_REASON = typer.Option(help=_("What was found; it stands in the log for good."))
_WH = typer.Option(None, "--wh", min=0, max=10**15, help=_("What it earns with instead of the energy held, in Wh."))
_AT_WH = typer.Argument(min=1, max=10**15, help=_("The first value that its registers cannot show, in Wh."))
_DEVICE = typer.Argument(help=_("The id of a device, 32 hex digits."))
_KEY = typer.Option(None, help=_("The steward's key file; default: the one in DIR/keys."))
_CLOCK = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now."))


@app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@app.command("list", help=_("Print every span that waits: hold, why, span, energy, since when, site and device."))
def list_command(directory: Path = _DIRECTORY) -> None:
    """Reads the published log and the database, so it may be asked while the aggregator runs."""
    from aggregator.holds import waiting

    for row in waiting.read(directory):
        verdict = _("  ({verdict}: carried out with the next interval that closes)").format(verdict=row.verdict)
        typer.echo(
            f"{row.id:20}  {row.reason.label:15}  {_minute(row.start_s)} – {_minute(row.end_s)}  "
            f"{format_kwh(row.energy_wh):>14}  {_minute(row.since_s)}  {row.site}, {row.name}"
            f"{verdict if row.verdict else ''}"
        )


@app.command("why", help=_("Say why a span waits, what it was held against, and what usually explains it."))
def why_command(directory: Path = _DIRECTORY, hold: str = _HOLD) -> None:
    """May be asked while the aggregator runs."""
    from aggregator.holds import reasons, waiting

    span = waiting.find(waiting.read(directory), hold)
    typer.echo(f"{span.site}, {span.name}  {_minute(span.start_s)} – {_minute(span.end_s)}")
    for line in reasons.explain(directory, span):
        typer.echo(line)


@app.command("release", help=_("Let a held span earn what its time still has."))
def release_command(
    directory: Path = _DIRECTORY,
    hold: str = _HOLD,
    reason: str = _REASON,
    wh: int | None = _WH,
    key: Path | None = _KEY,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place."""
    _decide(directory, hold, reason, key, clock, is_granted=True, energy_wh=wh)


@app.command("reject", help=_("Let a held span earn nothing, for good."))
def reject_command(
    directory: Path = _DIRECTORY,
    hold: str = _HOLD,
    reason: str = _REASON,
    key: Path | None = _KEY,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place."""
    _decide(directory, hold, reason, key, clock, is_granted=False)


@app.command("wraps", help=_("Say where a meter's registers begin at 0 again."))
def wraps_command(
    directory: Path = _DIRECTORY,
    device: str = _DEVICE,
    at_wh: int = _AT_WH,
    reason: str = _REASON,
    key: Path | None = _KEY,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.holds import review
    from commonwatt.clock import CivilClock
    from commonwatt.errors import UserError
    from commonwatt.identity import ID_SIZE, load_key

    try:
        identifier = bytes.fromhex(device)
    except ValueError:
        identifier = b""
    if len(identifier) != ID_SIZE:
        raise UserError(_("this is no device's id: {device}").format(device=device))
    steward = load_key(key or CommuneDirectory(directory).key_file("steward"))
    time_s = int(CivilClock.parse(clock).now_s())
    _say(review.declare_wraps(directory, identifier, at_wh, reason=reason, steward=steward, time_s=time_s))


def _decide(
    directory: Path,
    hold: str,
    reason: str,
    key: Path | None,
    clock: str,
    *,
    is_granted: bool,
    energy_wh: int | None = None,
) -> None:
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.holds import review, waiting
    from commonwatt.clock import CivilClock
    from commonwatt.identity import load_key

    span = waiting.find(waiting.read(directory), hold)
    steward = load_key(key or CommuneDirectory(directory).key_file("steward"))
    time_s = int(CivilClock.parse(clock).now_s())
    place = review.decide(
        directory,
        span,
        is_granted=is_granted,
        reason=reason,
        steward=steward,
        time_s=time_s,
        energy_wh=energy_wh,
    )
    _say(place)


def _say(place: int) -> None:
    typer.echo(
        _("Entry {place} of the log. The aggregator carries it out when it closes its next interval.").format(
            place=place
        )
    )


def _minute(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M")
