"""`commonwatt statistics`, `opendata` and `share`."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_ZONE = typer.Option("Europe/Paris", help=_("Where days begin."))
_DATABASE = typer.Option("", help=_("The engine's URL; default: what aggregator.toml says, or SQLite in DIR."))
FIGURES = ("production_wh", "consumption_wh", "self_consumed_wh", "import_wh", "export_wh", "matched_wh")


def statistics(
    directory: Path = _DIRECTORY,
    cell: str = typer.Option(
        "commune", help=_("commune, or quarter:, building:, feeder: or transformer: and its name.")
    ),
    first: str = typer.Option(..., "--from", help=_("The first day, as 2026-07-01.")),
    last: str = typer.Option("", "--to", help=_("The last day; default: the first.")),
    by: str = typer.Option("day", help=_("15min, day or month.")),
    zone: str = _ZONE,
    database: str = _DATABASE,
    as_json: bool = typer.Option(False, "--json", help=_("Print a JSON object instead of a table.")),
) -> None:
    """Ask what a cell made and used. What is told is remembered: no later answer may lay a few homes bare with it."""
    from aggregator.privacy import ask, cells
    from aggregator.privacy.statistics import STEPS

    if by not in STEPS:
        raise UserError(_("{step!r} is no step").format(step=by), where="--by", to_do=", ".join(STEPS))
    days = cells.days(_date(first, "--from"), _date(last or first, "--to"), zone)
    rows = ask.ask(directory, cell, days, by, database_url=database)
    if as_json:
        typer.echo(json.dumps({"cell": cell, "rows": [row.as_json() for row in rows]}, indent=1))
        return
    time, homes, left_out = _("UTC"), _("homes"), _("left out")
    typer.echo(f"{time:16}  {homes:>6}  {left_out:>8}  " + "  ".join(f"{name:>16}" for name in FIGURES))
    for row in rows:
        texts = [
            f"{row.figures[name]:,}".replace(",", " ") if name in row.figures else row.withheld[name].value
            for name in FIGURES
        ]
        columns = "  ".join(f"{text:>16}" for text in texts)
        typer.echo(f"{_minute(row.start_s)}  {row.sites:>6}  {row.left_out:>8}  {columns}")


def opendata(
    directory: Path = _DIRECTORY,
    out: Path = typer.Argument(help=_("A directory for the files; what is there of the same name is replaced.")),
    first: str = typer.Option("", "--from", help=_("The first day, UTC; default: everything.")),
    last: str = typer.Option("", "--to", help=_("The last day, UTC; default: everything.")),
    licence: str = typer.Option("etalab-2.0", help=_("etalab-2.0, CC-BY-4.0, ODbL-1.0 or CC0-1.0.")),
    database: str = _DATABASE,
) -> None:
    """Write a CSV a month and a Data Package that describes them. The aggregator may be running."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.privacy import opendata as files
    from aggregator.privacy import public
    from aggregator.privacy.cells import DAY_S
    from aggregator.reading import reading

    commune = CommuneDirectory(directory).load()
    start_s = _start_s(first, "--from") if first else 0
    end_s = _start_s(last, "--to") + DAY_S if last else 2**53
    with reading(directory, database) as connection:
        totals = public.between(connection, start_s, end_s)
        written = files.write(out, totals, commune=commune.name, title=commune.title, licence=licence)
    for path in written:
        typer.echo(path)


def share(
    totals: Path = typer.Argument(help=_("A directory of open data.")),
    readings: Path = typer.Argument(help=_("The home's registers: CSV with time_s, import_wh and export_wh.")),
    each: bool = typer.Option(False, "--each", help=_("Print every quarter of an hour.")),
) -> None:
    """Work out a home's share. Needs nothing but the two: anyone can do it anywhere."""
    from aggregator.privacy import opendata as files
    from aggregator.privacy.share import read_registers, shares

    try:
        text = readings.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(_("cannot be read: {error}").format(error=error), where=readings) from error
    found = list(shares(read_registers(text, where=readings), files.read(totals)))
    known = [row for row in found if row.least_wh is not None and row.most_wh is not None]
    if each:
        for row in found:
            bounds = _("not public") if row.least_wh is None else f"{row.least_wh} – {row.most_wh} Wh"
            typer.echo(f"{_minute(row.start_s)}  {row.own_wh:>8} Wh  {bounds}")
    typer.echo(
        _("public: {count} of {all} quarters of an hour; taken {own} Wh, matched {least} to {most} Wh").format(
            count=len(known),
            all=len(found),
            own=sum(row.own_wh for row in known),
            least=sum(row.least_wh or 0 for row in known),
            most=sum(row.most_wh or 0 for row in known),
        )
    )


def _date(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(_("{text!r} is no day").format(text=text), where=where, to_do="2026-07-01") from error


def _start_s(text: str, where: str) -> int:
    day = _date(text, where)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _minute(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M")
