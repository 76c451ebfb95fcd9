"""`commonwatt aggregator telemetry aside|home`."""

from datetime import UTC, date, datetime
from pathlib import Path

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _

app = typer.Typer(no_args_is_help=True, help=_("What goes to a time-series database, and what it does not take."))

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))


@app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@app.command("aside", help=_("Print the lines that the database does not take, with its words."))
def aside_command(
    directory: Path = _DIRECTORY,
    retry: bool = typer.Option(False, "--retry", help=_("Let all of them be tried again.")),
) -> None:
    """The aggregator may be running."""
    from aggregator.telemetry.journal import FILE, Journal

    if not (directory / FILE).exists():
        raise UserError(
            _("no telemetry was written here yet"),
            where=directory / FILE,
            to_do=_("start the aggregator with --influx"),
        )
    with Journal(directory / FILE) as journal, journal.transaction() as transaction:
        rows = transaction.aside()
        waiting = transaction.waiting()
        if retry:
            transaction.put_back()
    for row in rows:
        at = datetime.fromtimestamp(row.at_s, UTC).strftime("%Y-%m-%d %H:%M")
        typer.echo(f"{at}  {row.reason}  {row.says}\n  {row.line}")
    if retry:
        typer.echo(_("{count} points are tried again").format(count=len(rows)))
    else:
        typer.echo(_("{count} points are set aside, {waiting} wait").format(count=len(rows), waiting=waiting))


@app.command("home", help=_("Write one home's own points into that home's own bucket."))
def home_command(
    directory: Path = _DIRECTORY,
    site: str = typer.Argument(help=_("The site, by its name in the roster.")),
    influx: Path = typer.Option(help=_("TOML file with url, org, bucket and token of the home's own bucket.")),
    first: str = typer.Option("", "--from", help=_("The first day, as 2026-07-06; default: a week before the last.")),
    last: str = typer.Option("", "--to", help=_("The last day; default: the one before the last closing.")),
) -> None:
    """Run it once a day, for example by a timer. Repeating changes nothing. The aggregator may be running."""
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from aggregator.commune.directory import CommuneDirectory
    from aggregator.impact import measured
    from aggregator.impact.measured import Commune
    from aggregator.impact.periods import Period
    from aggregator.reading import reading
    from aggregator.telemetry import home
    from aggregator.telemetry.influx import InfluxServer, InfluxSettings
    from commonwatt import settings

    told = settings.load(InfluxSettings, influx)
    zone = ZoneInfo(told.zone)
    commune = Commune.read(directory)
    where = commune.site(site)
    with reading(directory) as connection:
        closed = datetime.fromtimestamp(measured.closed_until_s(connection), zone).date()
        until = _day(last, "--to") if last else closed - timedelta(days=1)
        since = _day(first, "--from") if first else until - timedelta(days=6)
        if since > until:
            raise UserError(_("the last day is before the first"), where=f"{since} – {until}")
        period = Period(since, until, zone)
        home.check_consent(commune, where, period)
        slug = CommuneDirectory(directory).load().name
        lines = [point.line(slug) for point in home.points(connection, commune, where, period)]
    with InfluxServer(told) as server:
        server.write_all(lines)
    typer.echo(
        _("{count} points of {site}, {first} to {last}").format(count=len(lines), site=site, first=since, last=until)
    )


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(_("{text!r} is no day").format(text=text), where=where, to_do="2026-07-06") from error
