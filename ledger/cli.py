"""`commonwatt ledger`: what a commune does with its ledger; what anyone reads of it is in audit/cli.py."""

import signal
import threading
from pathlib import Path

import typer

from commonwatt.cli.missing import packages_of
from commonwatt.clock import CivilClock
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import load_key, new_id
from commonwatt.service import set_up_logging
from commonwatt.units import format_credits
from ledger import arguments
from ledger.audit.cli import app as audit_app
from ledger.book.body import Transfer
from ledger.book.entry import Entry
from ledger.book.refusals import Refusal
from ledger.log.published import PublishedLog

app = typer.Typer(no_args_is_help=True, help=_("Verify, read and pay from the public log."))
app.add_typer(audit_app)


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

    transfer = Transfer(
        arguments.account(payer), arguments.account(payee), arguments.amount_mc(amount), arguments.memo(memo)
    )
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
    path: Path = arguments.LOG,
    vkey: Path = typer.Option(help=_("The file with the log's verifier key (C2SP vkey).")),
    policy: Path = typer.Option(help=_("The tlog policy with the witnesses and their URLs.")),
    once: bool = typer.Option(False, help=_("Ask one round; exit code 1 if the quorum is not met.")),
    every_s: float = typer.Option(10.0, "--every", min=0.1, help=_("Seconds between two rounds.")),
) -> None:
    """Beside the aggregator: committing and publishing never wait for a witness."""
    from ledger.witness.client import WitnessClient

    read = arguments.read_policy(policy)
    assert read is not None
    client = WitnessClient(root=arguments.log_in(path), log_key=arguments.read_vkey(vkey), policy=read)
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
    path: Path = arguments.LOG,
    index: int = typer.Argument(min=0, help=_("The entry's place in the log.")),
    line: int | None = typer.Option(None, min=0, help=_("For a mint: open this line, down to the signed reading.")),
    long: bool = typer.Option(False, "--long", help=_("For a mint: open every line.")),
    database: str = typer.Option(
        "", help=_("The aggregator's database, a file or postgresql://…; default: the file beside the log.")
    ),
    out: Path | None = typer.Option(None, help=_("Where to; a name in .tlog-proof writes C2SP's text form.")),
) -> None:
    """Reads the published files and, to open a mint, the aggregator's database."""
    from ledger.proof import cli as proof_cli

    log = PublishedLog(arguments.log_in(path))
    evidence = database or log.root.parent / "aggregator.db"
    proof_cli.prove(log, index, line=line, long=long, database=evidence, out=out or Path(f"{index}.proof"))


@app.command("constitution", help=_("Write what verifiers pin: the log's key, the genesis entry, the witnesses."))
def constitution_command(
    path: Path = arguments.LOG,
    vkey: Path = typer.Option(help=_("The file with the log's verifier key (C2SP vkey).")),
    policy: Path | None = typer.Option(None, help=_("The tlog policy; default: witnesses.policy beside the vkey.")),
    out: Path = typer.Option(Path("constitution.toml"), help=_("Where to.")),
) -> None:
    """To be published where people find it without the log."""
    from ledger.proof import cli as proof_cli

    proof_cli.write_constitution(PublishedLog(arguments.log_in(path)), vkey, policy, out)


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
    place = erase.announce(
        commune, arguments.account(account), arguments.memo(reason), [load_key(key) for key in keys], time_s=now_s
    )
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
    with packages_of("ledger run", extra="ledger"):
        from ledger.http import run as http_run
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
