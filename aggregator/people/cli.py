"""`commonwatt people` and `commonwatt places`: list, show, set, export, import."""

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _

if TYPE_CHECKING:
    from aggregator.private.store import PrivateStore

people_app = typer.Typer(no_args_is_help=True, help=_("Who belongs to the commune, and what they agreed to."))
places_app = typer.Typer(no_args_is_help=True, help=_("Dwellings, buildings, quarters, feeders and transformers."))

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_NAME = typer.Argument(help=_("A name of the roster, or an id."))
_WORDS = typer.Argument(help=_("FIELD=VALUE, as in the roster; FIELD= forgets it."))
_CLOCK = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now."))


@people_app.callback()
@places_app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@people_app.command("list", help=_("Print everybody: id, kind, consents with their last days, name."))
def people_list(directory: Path = _DIRECTORY) -> None:
    """The aggregator may be running."""
    from aggregator.people.facts import PEOPLE, SINGULAR, facts

    store = _store(directory)
    for table in PEOPLE:
        for person in store.people(table):
            known = facts(store, person)
            kind = known.get("kind", SINGULAR[table])
            until = _("until")
            consents = [
                f"{field.removeprefix('consent.')} {until} {value}"
                for field, value in known.items()
                if field.startswith("consent")
            ]
            typer.echo(f"{person.id.hex()}  {kind:17}  {', '.join(consents) or '–'}  {person.name}")


@places_app.command("list", help=_("Print every place: kind, name, and what is known of it."))
def places_list(directory: Path = _DIRECTORY) -> None:
    """The aggregator may be running."""
    from aggregator.people.facts import PLACE_TABLES, SINGULAR, facts

    store = _store(directory)
    for table in PLACE_TABLES:
        for person in store.people(table):
            known = "  ".join(f"{field}={value}" for field, value in facts(store, person).items())
            typer.echo(f"{SINGULAR[table]:11}  {person.name}  {known}".rstrip())


@people_app.command("show", help=_("Print what is known of somebody, and since when."))
def people_show(directory: Path = _DIRECTORY, name: str = _NAME) -> None:
    """The aggregator may be running."""
    from aggregator.people.facts import PEOPLE

    _show(directory, PEOPLE, name)


@places_app.command("show", help=_("Print what is known of a place, and since when."))
def places_show(directory: Path = _DIRECTORY, name: str = _NAME) -> None:
    """The aggregator may be running."""
    from aggregator.people.facts import PLACE_TABLES

    _show(directory, PLACE_TABLES, name)


@people_app.command("set", help=_("Change what is known of somebody; its commitment goes into the log."))
def people_set(
    directory: Path = _DIRECTORY, name: str = _NAME, words: list[str] = _WORDS, clock: str = _CLOCK
) -> None:
    """For example kind=owner consent.statistics=2027-12-31. The aggregator may be running."""
    from aggregator.people.facts import PEOPLE

    _set(directory, PEOPLE, name, words, clock)


@places_app.command("set", help=_("Change what is known of a place; a site's commitment goes into the log."))
def places_set(
    directory: Path = _DIRECTORY, name: str = _NAME, words: list[str] = _WORDS, clock: str = _CLOCK
) -> None:
    """For example feeder="Mill Lane" installed_wp=3000. The aggregator may be running."""
    from aggregator.people.facts import PLACE_TABLES

    _set(directory, PLACE_TABLES, name, words, clock)


@people_app.command("export", help=_("Write what is known of everybody, or all that there is of one member."))
def people_export(
    directory: Path = _DIRECTORY,
    out: Path = typer.Argument(help=_("A CSV file; with --member, a directory.")),
    member: str = typer.Option("", help=_("A member who asks for their data.")),
) -> None:
    """The files are readable by their owner only. The aggregator may be running."""
    from aggregator.people import export, facts
    from aggregator.reading import NothingMeasuredError, reading
    from ledger.app import LOG
    from ledger.book.replay import replay_slots
    from ledger.log.published import PublishedLog

    store = _store(directory)
    if not member:
        everybody = [row for table in (*facts.PEOPLE, *facts.PLACE_TABLES) for row in store.people(table)]
        typer.echo(export.write_csv(out, [facts.COLUMNS, *facts.rows(store, everybody)]))
        return
    person = facts.find(store, ["members"], member)
    state = replay_slots(PublishedLog(directory / LOG).slots())
    try:
        with reading(directory) as connection:
            written = export.write_member(out, store, person, state, connection)
    except NothingMeasuredError:
        written = export.write_member(out, store, person, state, None)
    for path in written:
        typer.echo(path)


@people_app.command("log", help=_("Bring the commitments of what members changed themselves into the log."))
def people_log(directory: Path = _DIRECTORY, clock: str = _CLOCK) -> None:
    """Consents that members give and take back on their pages count at once; this lets the log prove when. The
    aggregator may be running."""
    _bring(directory, _store(directory), _now_s(clock))


@people_app.command("import", help=_("Set what a CSV file of people export says; newcomers need a roster."))
def people_import(
    directory: Path = _DIRECTORY,
    file: Path = typer.Argument(help=_("A CSV file with the columns of people export.")),
    clock: str = _CLOCK,
) -> None:
    """All of it or nothing. The aggregator may be running."""
    from aggregator.people import facts

    store = _store(directory)
    try:
        lines = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(_("cannot be read: {error}").format(error=error), where=file) from error
    time_s = _now_s(clock)
    changed = facts.apply_rows(store, lines, at_s=time_s)
    _bring(directory, store, time_s)
    for person in changed:
        typer.echo(f"{person.id.hex()}  {person.name}")


def _show(directory: Path, tables: Iterable[str], name: str) -> None:
    from aggregator.people.facts import SINGULAR, facts, find

    store = _store(directory)
    person = find(store, tables, name)
    typer.echo(f"{person.id.hex()}  {SINGULAR[person.table]}  {person.name}")
    for field, value in facts(store, person).items():
        typer.echo(f"  {field:22}  {value}")
    since = _("since")
    for record in store.records(person.id):
        day = datetime.fromtimestamp(record.at_s, UTC).strftime("%Y-%m-%d %H:%M")
        typer.echo(f"  {since} {day}  {record.attributes}")


def _set(directory: Path, tables: Iterable[str], name: str, words: list[str], clock: str) -> None:
    from aggregator.people import facts

    wanted = {}
    for word in words:
        field, equals, value = word.partition("=")
        if not equals or not field:
            raise UserError(_("{word!r} is not FIELD=VALUE").format(word=word), to_do="kind=tenant")
        wanted[field] = value
    store = _store(directory)
    person = facts.find(store, tables, name)
    time_s = _now_s(clock)
    if facts.change(store, person, wanted, at_s=time_s):
        _bring(directory, store, time_s)
    else:
        typer.echo(_("That was known."))


def _bring(directory: Path, store: "PrivateStore", time_s: int) -> None:
    """Save, then bring the commitments of what the log knows into the log."""
    from aggregator.commune import amendments
    from aggregator.commune.directory import CommuneDirectory
    from ledger import door

    steward = CommuneDirectory(directory).load_key("steward")
    with door.opened(directory) as ledger:
        store.save()
        for person in amendments.log(store, ledger, steward=steward, time_s=time_s):
            typer.echo(_("{id}  what is known of {name} has changed").format(id=person.id.hex(), name=person.name))


def _store(directory: Path) -> "PrivateStore":
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.private.store import PrivateStore

    place = CommuneDirectory(directory)
    place.load()  # a directory that is no commune's is named as such
    return PrivateStore(place.private_db)


def _now_s(clock: str) -> int:
    from commonwatt.clock import CivilClock

    return int(CivilClock.parse(clock).now_s())
