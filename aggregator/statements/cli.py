"""`commonwatt operator announce|requests`, `commonwatt declare`, `commonwatt declared list|confirm`."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import format_credits

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from aggregator.statements.statement import Statement

operator_app = typer.Typer(no_args_is_help=True, help=_("Ask for less use in a peak, or more in a surplus."))
declared_app = typer.Typer(no_args_is_help=True, help=_("See and confirm values that people declared."))

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_STEWARD = typer.Option(None, help=_("The steward's key file, for the entry; default: the one in DIR/keys."))
_CLOCK = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now."))


@operator_app.callback()
@declared_app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@operator_app.command("announce", help=_("Announce a peak or a surplus, signed by the operator."))
def announce_command(
    directory: Path | None = typer.Argument(None, help=_("The directory of a commune; or give --url.")),
    start: str = typer.Option(..., "--from", help=_("When it begins, by the commune's clock: 2026-12-01T18:00.")),
    end: str = typer.Option(..., "--to", help=_("When it ends.")),
    kind: str = typer.Option(help=_("peak: use less; surplus: use more.")),
    feeder: str = typer.Option("", help=_("Whom it concerns: a feeder's name; default: everybody.")),
    url: str = typer.Option("", help=_("The commune's `operator serve`, from another machine: https://HOST.")),
    genesis: str = typer.Option(
        "", help=_("With --url: the commune's genesis hash, 64 digits; what you sign is for it alone.")
    ),
    key: Path | None = typer.Option(None, help=_("The operator's key file; default: the one in DIR/keys.")),
    steward: Path | None = _STEWARD,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place."""
    from aggregator.asking.announcing import Wanted, announce_in, announce_to

    wanted = Wanted(start, end, kind, feeder)
    if (directory is None) == (not url):
        raise UserError(
            _("name a commune's directory or --url, not both"), to_do="commonwatt operator announce --help"
        )
    if directory is not None:
        place = announce_in(directory, wanted, key=key, steward=steward, clock=clock)
        typer.echo(_("Entry {place} of the log. It counts from the next interval that closes.").format(place=place))
        return
    if key is None or not genesis:
        raise UserError(
            _("--url needs --key and --genesis"),
            to_do=_("the genesis hash is in the commune's constitution.toml and gateway.toml"),
        )
    shown = announce_to(url, wanted, key=key, genesis=genesis)
    typer.echo(
        _("Entry {place} of the log: {start} – {end}.").format(place=shown.place, start=shown.start, end=shown.end)
    )
    typer.echo(shown.note)


@operator_app.command("requests", help=_("Print what was announced: when, what, for whom."))
def requests_command(
    directory: Path | None = typer.Argument(None, help=_("The directory of a commune; or give --url.")),
    url: str = typer.Option("", help=_("The commune's `operator serve`, from another machine: https://HOST.")),
) -> None:
    """Reads the published log, so it may be asked while the aggregator runs."""
    from aggregator.asking.announcing import announced_in, announced_to

    if (directory is None) == (not url):
        raise UserError(
            _("name a commune's directory or --url, not both"), to_do="commonwatt operator requests --help"
        )
    for row in announced_in(directory) if directory is not None else announced_to(url):
        kind = _("peak") if row.is_peak else _("surplus")
        typer.echo(f"{_minute(row.start_s, row.zone)} – {_minute(row.end_s, row.zone)}  {kind:8}  {row.whom}")


@operator_app.command(
    "serve", help=_("Take the operator's signed requests over HTTP and show them, until told to stop.")
)
def serve_command(
    directory: Path = _DIRECTORY,
    listen: str = typer.Option("127.0.0.1:8074", help=_("HOST:PORT to listen on; put TLS in front of it.")),
    clock: str = _CLOCK,
) -> None:
    """Beside the aggregator, which may be running or not."""
    import logging
    import signal
    import threading

    from aggregator.asking.desk import RequestDesk
    from aggregator.asking.http import RequestPages
    from aggregator.cli import host_port
    from commonwatt.clock import CivilClock, MonotonicClock
    from commonwatt.service import set_up_logging

    set_up_logging()
    address = host_port(listen, "--listen")
    ends = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_ignored: ends.set())
    with RequestPages(RequestDesk(directory, clock=CivilClock.parse(clock)), address, MonotonicClock()) as pages:
        logging.getLogger(__name__).info("listening on http://%s:%d", address[0], pages.port)
        ends.wait()


def declare_command(
    directory: Path = _DIRECTORY,
    member: str = typer.Option("", help=_("Whom the value is for, by name.")),
    kind: str = typer.Option("", help=_("What was given, as the policy calls it: time, goods, food …")),
    amount: str = typer.Option("", help=_("How many units, for example 2.5.")),
    on: str = typer.Option("", help=_("The day, for example 2026-12-01.")),
    text: str = typer.Option("", help=_("What was done, for those who confirm and audit.")),
    attach: list[Path] = typer.Option([], help=_("A photograph or paper, once for each.")),
    table: Path | None = typer.Option(
        None, "--csv", help=_("A CSV file instead: member, kind, amount, on, text, attach.")
    ),
    key: Path = typer.Option(help=_("The key file of who declares.")),
    steward: Path | None = _STEWARD,
    clock: str = _CLOCK,
) -> None:
    """Declare values that no meter measures; a second person confirms them."""
    from aggregator.statements import declaring

    if table is not None:
        rows, where = declaring.read_csv(table), _("{file}, row").format(file=table)
    else:
        rows, where = [declaring.Words(member, kind, amount, on, text, tuple(attach))], _("declaration")
    statements = declaring.statements(directory, rows, where=where)
    _enter(directory, statements, key, steward, clock)
    for statement, row in zip(statements, rows, strict=True):
        typer.echo(f"{declaring.name_of(statement)}  {row.member}  {row.kind}  {row.amount}")
    typer.echo(
        _("A second person confirms with: commonwatt declared confirm {directory} ID --key KEY").format(
            directory=directory
        )
    )


@declared_app.command("list", help=_("Print the declarations that wait for a second person, with their papers."))
def list_command(directory: Path = _DIRECTORY) -> None:
    """Reads the published log and the papers, so it may be asked while the aggregator runs."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.policy.rules import Policy
    from aggregator.private.store import PrivateStore
    from aggregator.statements import declaring, papers, values

    place = CommuneDirectory(directory)
    zone = Policy.load(place.policy_toml).rules.zone
    names = PrivateStore(place.private_db)
    for item in values.waiting(declaring.stated_in(directory)):
        said = item.statement
        found = papers.read(directory, said.digest)
        words = _("its papers are missing or were changed") if found is None else found.text
        files = ", ".join(found.files) if found is not None else ""
        typer.echo(
            f"{declaring.name_of(said)}  {names.name_of(said.subject)}  {said.what}  {format_credits(said.number)}  "
            f"{_minute(said.start_s, zone)[:10]}  {words}{f'  [{files}]' if files else ''}"
        )


@declared_app.command("confirm", help=_("Confirm what somebody else declared."))
def confirm_command(
    directory: Path = _DIRECTORY,
    declaration: str = typer.Argument(help=_("The first column of `commonwatt declared list`.")),
    key: Path = typer.Option(help=_("The key file of who confirms: neither who declared nor whom it is for.")),
    steward: Path | None = _STEWARD,
    clock: str = _CLOCK,
) -> None:
    """Prints the entry's place; refuses with the reason for which the value would not be paid."""
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.policy.rules import Policy
    from aggregator.statements import declaring, papers, values
    from aggregator.statements.signers import Signers
    from commonwatt.clock import CivilClock
    from commonwatt.identity import key_hint, load_key
    from ledger.app import LOG
    from ledger.book.replay import replay_slots
    from ledger.log.published import PublishedLog

    item = declaring.find(values.waiting(declaring.stated_in(directory)), declaration)
    signers = Signers(replay_slots(PublishedLog(directory / LOG).slots()))
    confirmer = signers.find(key_hint(load_key(key).public_key))
    kinds = Policy.load(CommuneDirectory(directory).policy_toml).rules.declared
    time_s = int(CivilClock.parse(clock).now_s())
    refused = (
        values.Refused.UNKNOWN_SIGNER
        if confirmer is None
        else values.check(item.statement, item.signer, confirmer, kinds, time_s)
    )
    if refused is not None:
        raise UserError(values.sentence(refused), where=declaration)
    if papers.read(directory, item.statement.digest) is None:
        raise UserError(_("its papers are missing or were changed"), where=declaration)
    (place,) = _enter(directory, [item.statement], key, steward, clock)
    typer.echo(
        _("Entry {place} of the log. It is paid when the aggregator closes its next window.").format(place=place)
    )


def _enter(directory: Path, statements: "list[Statement]", key: Path, steward: Path | None, clock: str) -> list[int]:
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.statements.enter import enter
    from commonwatt.clock import CivilClock
    from commonwatt.identity import load_key

    return enter(
        directory,
        statements,
        [statement.subject for statement in statements],
        key=load_key(key),
        steward=load_key(steward or CommuneDirectory(directory).key_file("steward")),
        time_s=int(CivilClock.parse(clock).now_s()),
    )


def _minute(time_s: int, zone: "ZoneInfo") -> str:
    return datetime.fromtimestamp(time_s, zone).strftime("%Y-%m-%d %H:%M")
