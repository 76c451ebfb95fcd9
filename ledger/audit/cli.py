"""`commonwatt ledger verify|mirror|show|balance|export`: what anyone reads from the published files."""

import sys
import time
from pathlib import Path

import typer

from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from commonwatt.units import format_credits
from ledger import arguments
from ledger.audit import formats as export_formats
from ledger.audit.export import movements
from ledger.audit.formats import Books, Format
from ledger.audit.mirror import open_log
from ledger.audit.verify import Mode, Report, verify
from ledger.audit.witnesses import withdrawn
from ledger.book import show
from ledger.book.replay import ReplayError, replay_slots
from ledger.book.state import State
from ledger.log.published import COSIGNED, PublishedLog
from ledger.witness import policy as tlog_policy

app = typer.Typer()


@app.command(
    "verify",
    help=_(
        "Check every file of a published log. Exit code 0: good; 1: something is wrong; 2: nothing could be checked."
    ),
)
def verify_command(
    path: str = typer.Argument(help=_("A published log: its directory or address, or the directory of a commune.")),
    vkey: Path | None = typer.Option(None, help=_("The file with the log's verifier key (C2SP vkey).")),
    mode: Mode = typer.Option(Mode.PUBLIC, help=_("public: tree and signatures; audit: replay every entry.")),
    lenient: bool = typer.Option(False, help=_("Accept unknown files and signature lines, as C2SP does.")),
    policy: Path | None = typer.Option(
        None,
        help=_(
            "A tlog policy: its quorum of witnesses must have cosigned; "
            "default: witnesses.policy beside the vkey, once there are cosignatures."
        ),
    ),
    since: Path | None = typer.Option(None, help=_("Go on from an audit saved here (mode audit).")),
    save: Path | None = typer.Option(None, help=_("Save a good audit here, for --since (mode audit).")),
) -> None:
    """Prints every problem with its file and place, then the verdict."""
    from ledger.audit import verify_since

    if vkey is None:
        raise UserError(
            _("without the log's key this can prove nothing"),
            to_do=_("get the vkey from the commune, not from the log, and give it with --vkey FILE"),
        )
    if (since or save) and mode is not Mode.AUDIT:
        raise UserError(_("only an audit can be saved or resumed"), to_do=_("add --mode audit"))
    log, key = open_log(arguments.place(path)), arguments.read_vkey(vkey)
    beside = vkey.with_name(tlog_policy.FILE)
    if policy is None and beside.exists() and (log.root / COSIGNED).exists():
        policy = beside  # whoever keeps the key keeps the witnesses' keys
    witnesses = arguments.read_policy(policy)
    begun = time.perf_counter()
    if since is not None:
        report = verify_since.verify_since(log, key, verify_since.load(since), witnesses)
    else:
        report = verify(log, key, mode=mode, lenient=lenient, policy=witnesses)
    if witnesses is not None and report.state is not None:
        report.problems += withdrawn(witnesses, report.state)
    _print_report(report, mode, time.perf_counter() - begun)
    if save is not None and report.state is not None:
        verify_since.save(save, verify_since.Saved(log.checkpoint_bytes(), report.state))


def _print_report(report: Report, mode: Mode, seconds: float) -> None:
    for problem in report.problems:
        typer.echo(str(problem))
    if not report.is_good:
        typer.echo(_("NOT GOOD: {count} problems").format(count=len(report.problems)), err=True)
        raise typer.Exit(1)
    assert report.checkpoint is not None
    typer.echo(
        _("OK: {origin}, {size} entries, root {root}, {read} entries read, mode {mode}").format(
            origin=report.checkpoint.origin,
            size=report.checkpoint.size,
            root=report.checkpoint.root.hex(),
            read=report.entries,
            mode=mode.value,
        )
    )
    if report.erased:
        typer.echo(_("{count} of them were erased").format(count=report.erased))
    typer.echo(
        _("{seconds} s, {speed} entries a second").format(
            seconds=f"{seconds:.2f}", speed=f"{report.entries / max(seconds, 1e-9):.0f}"
        )
    )


@app.command(
    "mirror", help=_("Copy a published log from a web server, checked before it is believed; repeat to go on.")
)
def mirror_command(
    url: str = typer.Argument(help=_("The address of the log: what `checkpoint` stands below.")),
    directory: Path = typer.Argument(help=_("Where the copy lies; made on the first run.")),
    vkey: Path = typer.Option(help=_("The file with the log's verifier key (C2SP vkey).")),
) -> None:
    """Never replaces what it holds by another history."""
    from ledger.audit.mirror import HttpLog, mirror

    try:
        done = mirror(HttpLog(url), directory, arguments.read_vkey(vkey))
    except FormatError as error:
        raise UserError(_("not a log that this key signed: {error}").format(error=error), where=url) from error
    typer.echo(
        _("{size} entries, {new} of them new, {files} files fetched").format(
            size=done.head.size, new=done.head.size - done.before, files=done.files
        )
    )


@app.command(
    "show", help=_("Print the entries of a log, one per line, as the files say; `verify` tells whether it is true.")
)
def show_command(
    path: Path = arguments.LOG,
    limit: int | None = typer.Option(None, min=1, help=_("Only the last entries, this many.")),
    names: Path | None = arguments.NAMES,
) -> None:
    """The tiles are not checked here: `verify` does that."""
    log = PublishedLog(arguments.log_in(path))
    known = arguments.read_names(names, log)
    first = max(0, log.unverified_checkpoint().size - limit) if limit else 0
    for place, data in enumerate(log.entries()):
        if place >= first:
            typer.echo(show.describe(place, data, known))


@app.command("balance", help=_("Replay a log and print what every account holds, in credits."))
def balance_command(
    path: Path = arguments.LOG,
    account: str = typer.Argument("", help=_("The beginning of an account's id or of its name; default: all.")),
    names: Path | None = arguments.NAMES,
) -> None:
    """The replay checks every entry, but not the tiles."""
    log = PublishedLog(arguments.log_in(path))
    try:
        state = replay_slots(log.slots())
    except ReplayError as error:
        raise UserError(
            str(error), where=log.root, to_do=_("this log cannot be trusted; see ledger verify")
        ) from error
    found = False
    for row in show.balances(state, arguments.read_names(names, log)):
        ident, kind, name, amount_mc = row
        if not account or ident.startswith(account.lower()) or (name and name.lower().startswith(account.lower())):
            found = True
            typer.echo(f"{ident}  {format_credits(amount_mc):>14}  {kind:11}  {name}".rstrip())
    if not found:
        raise UserError(_("no account begins with {account!r}").format(account=account), where=log.root)


@app.command("export", help=_("Write what moved for other programs: beancount, hledger, CSV or the French FEC."))
def export_command(
    path: Path = arguments.LOG,
    form: Format = typer.Option(Format.BEANCOUNT, "--format", help=_("Which program is to read it.")),
    names: Path | None = arguments.NAMES,
) -> None:
    """Replays the log; the file goes to standard output."""
    log = PublishedLog(arguments.log_in(path))
    state = State()
    try:
        moved = tuple(movements(log.slots(), state))
    except (ReplayError, FormatError) as error:
        raise UserError(
            str(error), where=log.root, to_do=_("this log cannot be trusted; see ledger verify")
        ) from error
    for line in export_formats.write(Books(state, moved, arguments.read_names(names, log)), form):
        sys.stdout.buffer.write(line.encode())
