"""`commonwatt savings join|leave|show`: who takes part, and what homes saved and shifted, or why nobody can tell."""

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
def join_command(
    directory: Path = _DIRECTORY,
    site: str = _SITE,
    start: str = _FROM,
    key: Path | None = _KEY,
    steward: Path | None = _STEWARD,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place."""
    _state(directory, site, start, "join", key, steward, clock)


@app.command("leave", help=_("Let a home take part no more from a day on."))
def leave_command(
    directory: Path = _DIRECTORY,
    site: str = _SITE,
    start: str = _FROM,
    key: Path | None = _KEY,
    steward: Path | None = _STEWARD,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place."""
    _state(directory, site, start, "leave", key, steward, clock)


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


def _state(
    directory: Path, site: str, start: str, what: str, key: Path | None, steward: Path | None, clock: str
) -> None:
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
    try:
        day = date.fromisoformat(start)
    except ValueError as error:
        raise UserError(_("{text!r} is no day").format(text=start), where="--from", to_do=_("2026-12-01")) from error
    if day < day_of(time_s, zone):
        raise UserError(
            _("{day} is over").format(day=day), where="--from", to_do=_("nobody joins for days that went well")
        )
    start_s = start_of(day, zone)
    found = _site_id(PrivateStore(place.private_db), site)
    own = load_key(steward or place.key_file("steward"))
    (at,) = enter(
        directory,
        [Statement(Topic.PART, what, found, start_s, start_s + 1)],
        [found],
        key=load_key(key) if key is not None else own,
        steward=own,
        time_s=time_s,
    )
    typer.echo(_("Entry {place} of the log. It counts from the next interval that closes.").format(place=at))


def _site_id(names: "PrivateStore", site: str) -> bytes:
    found = names.find("sites", site)
    if found is None:
        raise UserError(_("no site is called {name!r}").format(name=site), to_do=_("write the name as in the roster"))
    return found.id
