"""`commonwatt savings join|leave|weather|show`: who takes part, and what homes saved and shifted, or why not."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import format_kwh

if TYPE_CHECKING:
    from aggregator.private.store import PrivateStore

app = typer.Typer(
    no_args_is_help=True, help=_("Take part in savings, and see what was saved or why it cannot be told.")
)

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_SITE = typer.Argument(help=_("The home, by the name of its site."))
_FROM = typer.Option(..., "--from", help=_("The first local day, for example 2026-12-01; none that is over."))
_KEY = typer.Option(
    None, help=_("The key file of who holds the site, or the steward's; default: the one in DIR/keys.")
)
_STEWARD = typer.Option(None, help=_("The steward's key file, for the entry; default: the one in DIR/keys."))
_CLOCK = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now."))


@app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@app.command("join", help=_("Let a home take part from a day on."))
@app.command("leave", help=_("Let a home take part no more from a day on."))
def part_command(
    context: typer.Context,
    directory: Path = _DIRECTORY,
    site: str = _SITE,
    start: str = _FROM,
    key: Path | None = _KEY,
    steward: Path | None = _STEWARD,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.earning.local_time import day_of, start_of
    from aggregator.policy.rules import Policy
    from aggregator.private.store import PrivateStore
    from aggregator.statements.enter import enter
    from aggregator.statements.statement import Statement, Topic
    from commonwatt.clock import CivilClock
    from commonwatt.identity import load_key

    place = CommuneDirectory(directory)
    zone = Policy.load(place.policy_toml).rules.zone
    time_s = int(CivilClock.parse(clock).now_s())
    day = _day(start)
    if day < day_of(time_s, zone):
        raise UserError(
            _("{day} is over").format(day=day), where="--from", to_do=_("nobody joins for days that went well")
        )
    start_s = start_of(day, zone)
    found = _site_id(PrivateStore(place.private_db), site)
    own = load_key(steward or place.key_file("steward"))
    (at,) = enter(
        directory,
        [Statement(Topic.PART, str(context.info_name), found, start_s, start_s + 1)],
        [found],
        key=load_key(key) if key is not None else own,
        steward=own,
        time_s=time_s,
    )
    typer.echo(_("Entry {place} of the log. It counts from the next interval that closes.").format(place=at))


@app.command("weather", help=_("Take a weather station's temperatures in, or print what is known of stations."))
def weather_command(
    directory: Path = _DIRECTORY,
    file: Path | None = typer.Argument(None, help=_("A CSV file, perhaps packed with gzip: SYNOP, or day,mean_c.")),
    station: str = typer.Option("", help=_("The station's number or name; default: the one of the policy.")),
    database: str = typer.Option(
        "", help=_("The engine's URL; default: what aggregator.toml says, or SQLite in DIR.")
    ),
) -> None:
    """The aggregator may be running; a day that is known stays as it is."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.earning import thermometer, weather_rows
    from aggregator.policy.rules import Policy
    from aggregator.reading import reading
    from aggregator.settings import database_url
    from aggregator.sql import Database

    rules = Policy.load(CommuneDirectory(directory).policy_toml).rules
    with reading(directory, database) as connection:  # of another version of commonwatt nothing is written to
        known = weather_rows.stations(connection)
    if file is None:
        for row in known:
            lacking = (row.last - row.first).days + 1 - row.days
            typer.echo(
                _("{station}  {first} – {last}  {days} days, {lacking} between them not known").format(
                    station=row.name, first=row.first, last=row.last, days=row.days, lacking=lacking
                )
            )
        return
    name = station or (rules.savings.station if rules.savings is not None else "")
    if not name:
        raise UserError(
            _("the policy names no station"), where="--station", to_do=_("write its number or name as in the file")
        )
    means_dc = thermometer.read(file, name, rules.zone)
    with Database(database_url(directory, database)) as written:
        added = weather_rows.add(written, name, means_dc)
    typer.echo(
        _("{station}: {days} days from {first} to {last}, {new} of them new").format(
            station=name, days=len(means_dc), first=min(means_dc), last=max(means_dc), new=added.new
        )
    )
    for day in added.differing:
        typer.echo(_("{day} was known with another temperature, which stays").format(day=day), err=True)


@app.command("show", help=_("Print what each home saved and shifted, or why it cannot be told."))
def show_command(
    directory: Path = _DIRECTORY,
    site: str = typer.Argument("", help=_("Only this home, by the name of its site.")),
) -> None:
    """Reads the database, so it may be asked while the aggregator runs."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.earning import told
    from aggregator.policy.rules import Policy
    from aggregator.private.store import PrivateStore
    from ledger.book import mint

    place = CommuneDirectory(directory)
    names = PrivateStore(place.private_db)
    zone = Policy.load(place.policy_toml).rules.zone
    wanted = _site_id(names, site) if site else None
    for row in told.read(directory):
        if wanted not in (None, row.site):
            continue
        what = _("true-up") if row.is_true_up else _("saved") if row.source == mint.SOURCE_SAVINGS else _("shifted")
        times = [
            datetime.fromtimestamp(time_s, zone).strftime("%Y-%m-%d %H:%M") for time_s in (row.start_s, row.end_s)
        ]
        figures = _("expected {expected}, used {used}, credited {credited}, held {held}").format(
            expected=format_kwh(row.expected_wh),
            used=format_kwh(row.used_wh),
            credited=format_kwh(row.credited_wh),
            held=format_kwh(row.held_wh),
        )
        typer.echo(f"{names.name_of(row.site)}  {' – '.join(times)}  {what}  {row.why or figures}")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(_("{text!r} is no day").format(text=text), where="--from", to_do=_("2026-12-01")) from error


def _site_id(names: "PrivateStore", site: str) -> bytes:
    found = names.find("sites", site)
    if found is None:
        raise UserError(_("no site is called {name!r}").format(name=site), to_do=_("write the name as in the roster"))
    return found.id
