"""`commonwatt ledger`: verify, show, balance and pay."""

import signal
import sys
import threading
import time
import tomllib
from pathlib import Path

import typer

from commonwatt.clock import CivilClock
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from commonwatt.identity import load_key, new_id
from commonwatt.service import set_up_logging
from commonwatt.units import format_credits, parse_credits
from ledger import fetch as http_fetch
from ledger.audit import formats as export_formats
from ledger.audit.export import movements
from ledger.audit.formats import Books, Format
from ledger.audit.mirror import open_log
from ledger.audit.verify import Mode, Report, verify
from ledger.audit.witnesses import withdrawn
from ledger.book import show
from ledger.book.body import MEMO_BYTES_MAX, Transfer
from ledger.book.entry import Entry
from ledger.book.kinds import ISSUANCE
from ledger.book.refusals import Refusal
from ledger.book.replay import ReplayError, replay_slots
from ledger.book.state import State
from ledger.log import note
from ledger.log.published import COSIGNED, PublishedLog
from ledger.log.tiles import CHECKPOINT
from ledger.witness import policy as tlog_policy
from ledger.witness.policy import TlogPolicy

app = typer.Typer(no_args_is_help=True, help=_("Verify, read and pay from the public log."))

WITNESSES = "witnesses.policy"

_LOG = typer.Argument(help=_("A published log, or the directory of a commune."))
_NAMES = typer.Option(
    None, "--names", help=_('A TOML file of lines `ID = "name"`; default: names.toml beside the log.')
)


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
    log, key = open_log(_place(path)), _read_vkey(vkey)
    beside = vkey.with_name(WITNESSES)
    if policy is None and beside.exists() and (log.root / COSIGNED).exists():
        policy = beside  # whoever keeps the key keeps the witnesses' keys
    witnesses = _read_policy(policy)
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
        done = mirror(HttpLog(url), directory, _read_vkey(vkey))
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
    path: Path = _LOG,
    limit: int | None = typer.Option(None, min=1, help=_("Only the last entries, this many.")),
    names: Path | None = _NAMES,
) -> None:
    """The tiles are not checked here: `verify` does that."""
    log = PublishedLog(_log_in(path))
    known = _read_names(names, log)
    first = max(0, log.unverified_checkpoint().size - limit) if limit else 0
    for place, data in enumerate(log.entries()):
        if place >= first:
            typer.echo(show.describe(place, data, known))


@app.command("balance", help=_("Replay a log and print what every account holds, in credits."))
def balance_command(
    path: Path = _LOG,
    account: str = typer.Argument("", help=_("The beginning of an account's id or of its name; default: all.")),
    names: Path | None = _NAMES,
) -> None:
    """The replay checks every entry, but not the tiles."""
    log = PublishedLog(_log_in(path))
    try:
        state = replay_slots(log.slots())
    except ReplayError as error:
        raise UserError(
            str(error), where=log.root, to_do=_("this log cannot be trusted; see ledger verify")
        ) from error
    found = False
    for row in show.balances(state, _read_names(names, log)):
        ident, kind, name, amount_mc = row
        if not account or ident.startswith(account.lower()) or (name and name.lower().startswith(account.lower())):
            found = True
            typer.echo(f"{ident}  {format_credits(amount_mc):>14}  {kind:11}  {name}".rstrip())
    if not found:
        raise UserError(_("no account begins with {account!r}").format(account=account), where=log.root)


@app.command("pay", help=_("Sign a transfer with a wallet's key, place it in the log and publish."))
def pay_command(
    commune: Path = typer.Argument(help=_("The directory of a commune.")),
    wallet: Path = typer.Option(help=_("The payer's key file.")),
    payer: str = typer.Option(..., "--from", help=_("The payer's account, 32 hex digits.")),
    payee: str = typer.Option(..., "--to", help=_("The account to be paid, 32 hex digits.")),
    amount: str = typer.Option(..., "--credits", help=_("How much, for example 1 or 1.5.")),
    memo: str = typer.Option("", help=_("A few words for the payee; everyone who may read the entry reads them.")),
    clock: str = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now.")),
) -> None:
    """Straight into the ledger, or through the inbox of whoever has it open."""
    from ledger import door  # the store needs SQLAlchemy; reading a log does not
    from ledger.sequencer import Refused

    transfer = Transfer(_account(payer), _account(payee), _amount_mc(amount), _memo(memo))
    entry = Entry(new_id(), int(CivilClock.parse(clock).now_s()), transfer)
    key = load_key(wallet)
    with door.opened(commune) as ledger:
        (answer,) = ledger.submit([entry.sign(key, ledger.state.genesis_sha256)])
        if isinstance(answer, Refused):
            why = _REASONS.get(answer.refusal, answer.refusal.label)
            raise UserError(_("the transfer is refused: {why}").format(why=why))
        size = ledger.state.size
    typer.echo(
        _("paid {credits} credits: entry {place} of {size}").format(
            credits=format_credits(transfer.amount_mc), place=answer.place, size=size
        )
    )


@app.command("cosign", help=_("Ask the witnesses of a policy to co-sign what the log publishes, until stopped."))
def cosign_command(
    path: Path = _LOG,
    vkey: Path = typer.Option(help=_("The file with the log's verifier key (C2SP vkey).")),
    policy: Path = typer.Option(help=_("The tlog policy with the witnesses and their URLs.")),
    once: bool = typer.Option(False, help=_("Ask one round; exit code 1 if the quorum is not met.")),
    every_s: float = typer.Option(10.0, "--every", min=0.1, help=_("Seconds between two rounds.")),
) -> None:
    """Beside the aggregator: committing and publishing never wait for a witness."""
    from ledger.witness.client import WitnessClient

    read = _read_policy(policy)
    assert read is not None
    client = WitnessClient(root=_log_in(path), log_key=_read_vkey(vkey), policy=read)
    pause = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_ignored: pause.set())
    while True:
        done = client.ask_all()
        typer.echo(
            _("{size} entries: cosigned by {names}; quorum {met}").format(
                size=done.head.size,
                names=", ".join(done.cosigned) or _("nobody"),
                met=_("met") if done.is_met else _("not met"),
            )
        )
        for name, why in done.failed.items():
            typer.echo(f"  {name}: {why}", err=True)
        if once and not done.is_met:
            raise typer.Exit(1)
        if once or pause.wait(every_s):
            return


@app.command(
    "prove", help=_("Write the proof of one entry: a file that anyone checks offline with `commonwatt verify`.")
)
def prove_command(
    path: Path = _LOG,
    index: int = typer.Argument(min=0, help=_("The entry's place in the log.")),
    line: int | None = typer.Option(None, min=0, help=_("For a mint: open this line, down to the signed reading.")),
    long: bool = typer.Option(False, "--long", help=_("For a mint: open every line.")),
    database: Path | None = typer.Option(None, help=_("The aggregator's database; default: beside the log.")),
    out: Path | None = typer.Option(None, help=_("Where to; a name in .tlog-proof writes C2SP's text form.")),
) -> None:
    """Reads the published files and, to open a mint, the aggregator's database."""
    from ledger.proof import cli as proof_cli

    log = PublishedLog(_log_in(path))
    database = database or log.root.parent / "aggregator.db"
    proof_cli.prove(log, index, line=line, long=long, database=database, out=out or Path(f"{index}.proof"))


@app.command("constitution", help=_("Write what verifiers pin: the log's key, the genesis entry, the witnesses."))
def constitution_command(
    path: Path = _LOG,
    vkey: Path = typer.Option(help=_("The file with the log's verifier key (C2SP vkey).")),
    policy: Path | None = typer.Option(None, help=_("The tlog policy; default: witnesses.policy beside the vkey.")),
    out: Path = typer.Option(Path("constitution.toml"), help=_("Where to.")),
) -> None:
    """To be published where people find it without the log."""
    from ledger.proof import cli as proof_cli

    proof_cli.write_constitution(PublishedLog(_log_in(path)), vkey, policy, out)


@app.command("export", help=_("Write what moved for other programs: beancount, hledger, CSV or the French FEC."))
def export_command(
    path: Path = _LOG,
    form: Format = typer.Option(Format.BEANCOUNT, "--format", help=_("Which program is to read it.")),
    names: Path | None = _NAMES,
) -> None:
    """Replays the log; the file goes to standard output."""
    log = PublishedLog(_log_in(path))
    state = State()
    try:
        moved = tuple(movements(log.slots(), state))
    except (ReplayError, FormatError) as error:
        raise UserError(
            str(error), where=log.root, to_do=_("this log cannot be trusted; see ledger verify")
        ) from error
    for line in export_formats.write(Books(state, moved, _read_names(names, log)), form):
        sys.stdout.buffer.write(line.encode())


@app.command(
    "backup", help=_("Copy a commune's ledger, also while it runs; repeat to add what is new. Keys stay out.")
)
def backup_command(
    commune: Path = typer.Argument(help=_("The directory of a commune.")),
    target: Path = typer.Argument(help=_("The directory of the backup; made on the first run.")),
) -> None:
    """What is copied is checked against the signed head; nothing in the backup is ever taken back."""
    from ledger import backup

    kept = backup.back_up(commune, target)
    typer.echo(
        _("{size} entries, {new} of them new, {files} files copied").format(
            size=kept.head.size, new=kept.entries, files=kept.files
        )
    )


@app.command("restore", help=_("Build a commune's ledger from a backup, audited in full; none may be there."))
def restore_command(
    source: Path = typer.Argument(
        help=_("The backup; or the commune's own directory, when only its store was lost.")
    ),
    commune: Path = typer.Argument(help=_("The directory of the commune.")),
    store: str = typer.Option("", help=_("Where the entries are to lie from now on: sqlite:///… or postgresql://….")),
) -> None:
    """The same way leads from one database engine to the other."""
    from ledger import backup

    head = backup.restore(source, commune, store=store)
    typer.echo(_("{size} entries restored, root {root}").format(size=head.size, root=head.root.hex()))


@app.command("enter", help=_("Sign an entry of any further kind with key files, place it in the log and publish."))
def enter_command(
    commune: Path = typer.Argument(help=_("The directory of a commune.")),
    kind: str = typer.Argument(help=_("Which: top-up, credit-limit, charge, reverse, hold, rotate …; ? lists them.")),
    words: list[str] = typer.Argument(None, help=_("NAME=VALUE for each field of docs/spec/entry.cddl.")),
    keys: list[Path] = typer.Option(..., "--key", help=_("Who signs, then who approves: key files.")),
    clock: str = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now.")),
) -> None:
    """Straight into the ledger, or through the inbox of whoever has it open."""
    from ledger import enter

    body = enter.body_of(kind, words or [])
    signers = [load_key(key) for key in keys]
    placed = enter.enter(commune, body, signers, time_s=int(CivilClock.parse(clock).now_s()))
    typer.echo(_("entry {place} of the log").format(place=placed.place))
    for account in placed.warned:
        typer.echo(_("{account} is past its soft limit").format(account=account.hex()), err=True)


@app.command(
    "erase",
    help=_("Erase a person: first the signed carry-forward of the balances; later, with --carry-out, their entries."),
)
def erase_command(
    commune: Path = typer.Argument(help=_("The directory of a commune; its aggregator must not be running.")),
    account: str = typer.Argument("", help=_("The person's account, 32 hex digits; it must be revoked.")),
    reason: str = typer.Option("", help=_("Why; it stays in the log, so no name.")),
    keys: list[Path] = typer.Option([], "--key", help=_("The key file of a role that signs; one for each.")),
    carry_out: int | None = typer.Option(None, min=1, help=_("The place of the carry-forward to carry out.")),
    clock: str = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now.")),
) -> None:
    """Two steps, so that auditors can replay what will be gone, and the balances that stand for it."""
    from ledger import erase

    if carry_out is not None:
        count = erase.carry_out(commune, carry_out)
        typer.echo(_("{count} entries are erased; their hashes stay, and the log verifies").format(count=count))
        return
    if not keys or not account:
        raise UserError(_("name the account and the keys that sign"), to_do=_("add the account and --key FILE"))
    now_s = int(CivilClock.parse(clock).now_s())
    place = erase.announce(commune, _account(account), _memo(reason), [load_key(key) for key in keys], time_s=now_s)
    typer.echo(
        _(
            "entry {place} carries the balances; when auditors have verified the log, carry it out: --carry-out"
        ).format(place=place)
    )


@app.command("run", help=_("Serve a ledger over HTTP: submit, accounts, history, proofs, tiles; see /openapi.json."))
def run_command(
    commune: Path = typer.Argument(help=_("The directory of a commune; nobody else may have its ledger open.")),
    host: str = typer.Option("127.0.0.1", help=_("The address to listen on; put TLS in front of it.")),
    port: int = typer.Option(8650, min=0, max=65_535, help=_("The port to listen on; 0: a free one.")),
    clock: str = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now.")),
    per_s: float = typer.Option(20.0, "--rate", min=0.1, help=_("Requests a second for each client address.")),
) -> None:
    """Until SIGTERM or SIGINT."""
    try:
        from ledger.http import run as http_run
    except ModuleNotFoundError as error:
        raise UserError(
            _("the part '{name}' needs the package {package}, which is not installed").format(
                name="ledger run", package=error.name
            ),
            to_do="pip install 'commonwatt[ledger]'",
        ) from error
    set_up_logging()
    http_run.run(commune, host=host, port=port, clock=clock, per_s=per_s)


_REASONS = {
    Refusal.UNKNOWN_ACCOUNT: _("one of the two accounts does not exist"),
    Refusal.BAD_SIGNATURE: _("the key is not the payer's wallet"),
    Refusal.REVOKED: _("one of the two accounts is revoked"),
    Refusal.SUSPENDED: _("the payer is suspended"),
    Refusal.AMOUNT_ZERO: _("the amount is zero"),
    Refusal.SAME_ACCOUNT: _("payer and payee are the same"),
    Refusal.INSUFFICIENT_FUNDS: _("the payer does not have that much"),
}


def _log_in(path: Path) -> Path:
    """The log itself, when a commune's directory was named."""
    inside = path / "log"
    return inside if not (path / CHECKPOINT).exists() and (inside / CHECKPOINT).exists() else path


def _place(text: str) -> str | Path:
    return text if http_fetch.is_url(text) else _log_in(Path(text))


def _read_vkey(path: Path) -> note.Verifier:
    try:
        return note.parse_vkey(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, FormatError) as error:
        raise UserError(
            _("cannot read a vkey: {error}").format(error=error),
            where=path,
            to_do=_("name the file with the log's verifier key, one line NAME+ID+KEY"),
        ) from error


def _read_policy(path: Path | None) -> TlogPolicy | None:
    try:
        return tlog_policy.parse(path.read_text(encoding="utf-8")) if path else None
    except (OSError, UnicodeDecodeError, FormatError) as error:
        raise UserError(_("not a tlog policy: {error}").format(error=error), where=path) from error


def _read_names(path: Path | None, log: PublishedLog) -> dict[bytes, str]:
    default = log.root.parent / "names.toml"
    if path is None and not default.exists():
        return {}
    try:
        table = tomllib.loads((path or default).read_text(encoding="utf-8"))
        return {bytes.fromhex(ident): str(name) for ident, name in table.items()}
    except (OSError, ValueError) as error:
        raise UserError(_("cannot read names: {error}").format(error=error), where=path or default) from error


def _account(text: str) -> bytes:
    try:
        account = bytes.fromhex(text)
    except ValueError:
        account = b""
    if len(account) != len(ISSUANCE):
        raise UserError(_("not an account: {text!r}").format(text=text), to_do=_("write its 32 hex digits"))
    return account


def _amount_mc(text: str) -> int:
    try:
        return parse_credits(text)
    except ValueError as error:
        raise UserError(str(error)) from error


def _memo(text: str) -> str:
    if len(text.encode()) > MEMO_BYTES_MAX:
        raise UserError(_("the memo is longer than {count} bytes").format(count=MEMO_BYTES_MAX))
    return text
