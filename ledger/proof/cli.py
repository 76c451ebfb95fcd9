"""`commonwatt verify FILE`, and what `commonwatt ledger` says about proofs: prove, constitution."""

from pathlib import Path

import typer

from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from ledger.book import entry
from ledger.book.mint import Mint
from ledger.log import note
from ledger.log.published import PublishedLog
from ledger.proof import file as proof_file
from ledger.proof import make as proof_make
from ledger.proof import tlog_proof as proof
from ledger.proof import trust as proof_trust
from ledger.proof.file import QR_SIZE_MAX, ProofFile
from ledger.proof.steps import explain
from ledger.proof.trust import TrustFile
from ledger.witness import policy as tlog_policy


def verify_command(
    file: Path = typer.Argument(help=_("A proof: .proof or .tlog-proof.")),
    trust: Path = typer.Option(
        ..., "--constitution", help=_("The commune's constitution.toml, from the commune and not from the proof.")
    ),
) -> None:
    """Offline; exit code 0: every step is good, 1: one is not."""
    steps = list(explain(_read(file), proof_trust.load(trust), {}))
    for number, step in enumerate(steps, 1):
        typer.echo(f"{number}. {'✓' if step.is_good else '✗'} {step.text}")
    if not all(step.is_good for step in steps):
        typer.echo(_("NOT PROVEN: the step marked ✗ fails, and nothing after it counts."), err=True)
        raise typer.Exit(1)
    typer.echo(_("PROVEN. What happened after that head, a reversal for example, it cannot show."))


def prove(log: PublishedLog, index: int, *, line: int | None, long: bool, database: Path | str, out: Path) -> None:
    """Write the proof of an entry, as CBOR or, when `out` ends in .tlog-proof, as text."""
    file = proof_make.prove(log, index)
    if line is not None or long:
        mint = entry.parse(file.entry)
        if not isinstance(mint, Mint):
            raise UserError(_("entry {index} is no mint: it has no lines to open").format(index=index))
        evidence = proof_make.read_evidence(database, mint)
        admissions = proof_make.admissions_of(log.entries())
        file = proof_make.open_mint(file, evidence, admissions, None if long else line)
    is_text = out.suffix == proof.SUFFIX
    data = file.tlog_proof() if is_text else file.encode()
    if out.exists():
        raise UserError(_("is there already"), where=out)
    out.write_bytes(data)
    fits = _("fits one QR code") if len(data) <= QR_SIZE_MAX else _("too large for one QR code")
    typer.echo(_("{path}: {size} bytes, {fits}").format(path=out, size=len(data), fits=fits))


def write_constitution(log: PublishedLog, vkey: Path, policy: Path | None, out: Path) -> None:
    """Write constitution.toml from a log's first entry, the log's vkey and the witnesses' policy."""
    if out.exists():
        raise UserError(_("is there already"), where=out)
    genesis = next(log.entries())
    default = vkey.parent / tlog_policy.FILE
    policy = policy or (default if default.exists() else None)
    try:
        founded = proof_trust.found(genesis)
        log_key = note.parse_vkey(vkey.read_text(encoding="utf-8"))
        witnesses = policy.read_text(encoding="utf-8") if policy else ""
        if witnesses:
            tlog_policy.parse(witnesses)
    except (OSError, FormatError) as error:
        raise UserError(str(error)) from error
    changes = tuple(proof_trust.changes_of(log.entries()))
    trust = TrustFile(log_vkey=str(log_key), genesis=genesis.hex(), witnesses=witnesses, changes=changes)
    out.write_text(trust.encode(), encoding="utf-8")
    typer.echo(_("{path}: the constitution of {commune}").format(path=out, commune=founded.genesis.commune))
    typer.echo(_("compare before you believe it: genesis {sha256}").format(sha256=founded.genesis_sha256.hex()))


def _read(path: Path) -> ProofFile:
    try:
        data = path.read_bytes()
        if not data.startswith(proof.HEADER.encode()):
            return proof_file.parse(data)
        text = proof.parse(data)
    except OSError as error:
        raise UserError(_("cannot be read: {error}").format(error=error.strerror), where=path) from error
    except FormatError as error:
        raise UserError(_("not a proof: {error}").format(error=error), where=path) from error
    if text.extra is None:
        raise UserError(_("this tlog-proof does not carry the entry as extra data"), where=path)
    return ProofFile(text.extra, text)
