"""`commonwatt impact` and `commonwatt indicators`."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _

if TYPE_CHECKING:
    from aggregator.impact.of_home import Impact

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_DATABASE = typer.Option("", help=_("The engine's URL; default: what aggregator.toml says, or SQLite in DIR."))
_ZONE = typer.Option("Europe/Paris", help=_("Where days begin."))
_JSON = typer.Option(False, "--json", help=_("Print a JSON object instead of lines."))


def impact(
    directory: Path = _DIRECTORY,
    site: str = typer.Option("", help=_("A site, by its name in the roster; default: the commune.")),
    commune: bool = typer.Option(False, "--commune", help=_("The whole commune, which is the default.")),
    cell: str = typer.Option("commune", help=_("quarter:, building:, feeder: or transformer: and its name.")),
    first: str = typer.Option("", "--from", help=_("The first day, as 2026-07-06; default: a week before the last.")),
    last: str = typer.Option("", "--to", help=_("The last day; default: the end of the last whole week.")),
    zone: str = _ZONE,
    database: str = _DATABASE,
    as_json: bool = _JSON,
) -> None:
    """Tell what energy did: kWh, CO2, rates and peaks, beside last week, last year and similar homes."""
    from aggregator.impact import measured, of_commune, of_home, periods, tables, words
    from aggregator.reading import reading

    if site and (commune or cell != "commune"):
        raise UserError(_("a site or a commune, not both"), where="--site")
    known = measured.Commune.read(directory)
    factors = tables.read(directory)
    with reading(directory, database) as connection:
        end_s = measured.closed_until_s(connection)
        period = periods.period(_date(first, "--from"), _date(last, "--to"), end_s=end_s, zone=_zone(zone))
        withheld: dict[str, str] = {}
        if site:
            found = of_home.read(connection, known, known.site(site), period, factors)
    if not site:
        found, withheld = of_commune.read(directory, cell, period, factors, database_url=database)
    if as_json:
        typer.echo(json.dumps(_as_json(site or cell, found, withheld), indent=1, ensure_ascii=False))
        return
    for line in words.lines(found, site or cell):
        typer.echo(line)
    for name, why in withheld.items():
        typer.echo(_("not told: {what} ({why})").format(what=words.names()[name], why=words.reasons().get(why, why)))


def indicators(
    directory: Path = _DIRECTORY,
    file: Path | None = typer.Option(None, help=_("The indicators' file; default: DIR/indicators.toml.")),
    at: str = typer.Option("", help=_("As of a day, as 2026-07-06; default: the last closed interval's.")),
    zone: str = _ZONE,
    database: str = _DATABASE,
    as_json: bool = _JSON,
) -> None:
    """Show what the commune wants to reach, whether it does, and what is due: plan, do, check, act."""
    from aggregator.impact import indicators as files
    from aggregator.impact import measured, progress, tables
    from aggregator.reading import reading

    rows = files.read(file or directory / files.FILE)
    with reading(directory, database) as connection:
        end_s = measured.closed_until_s(connection)
    day = _date(at, "--at")
    found = progress.read(directory, rows, day, end_s, _zone(zone), tables.read(directory), database_url=database)
    if as_json:
        typer.echo(json.dumps([row.as_json() for row in found], indent=1, ensure_ascii=False))
        return
    for row in found:
        for line in progress.lines(row):
            typer.echo(line)


def _as_json(title: str, found: "Impact", withheld: dict[str, str]) -> dict[str, object]:
    from aggregator.impact.similar import Group

    like = found.group
    group = {"homes": len(like.sites), "size_ratio_max": like.ratio} if isinstance(like, Group) else None
    return {
        "of": title,
        "first": found.period.first.isoformat(),
        "last": found.period.last.isoformat(),
        "zone": found.period.zone.key,
        "figures": [figure.as_json() for figure in found.figures],
        "comparisons": [row.as_json() for row in found.comparisons],
        "similar": group,
        "withheld": withheld,
        "told_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UserError(_("{zone!r} is no time zone").format(zone=name), to_do="Europe/Paris, UTC") from error


def _date(text: str, option: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(_("{text!r} is no day").format(text=text), where=option, to_do="2026-07-06") from error
