"""What the commands of the ledger take: logs, keys, policies, names, accounts and amounts, read or explained."""

import tomllib
from pathlib import Path

import typer

from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from commonwatt.units import parse_credits
from ledger import fetch as http_fetch
from ledger.book.body import MEMO_BYTES_MAX
from ledger.book.kinds import ISSUANCE
from ledger.log import note
from ledger.log.published import PublishedLog
from ledger.log.tiles import CHECKPOINT
from ledger.witness import policy as tlog_policy
from ledger.witness.policy import TlogPolicy

LOG = typer.Argument(help=_("A published log, or the directory of a commune."))
NAMES = typer.Option(
    None, "--names", help=_('A TOML file of lines `ID = "name"`; default: names.toml beside the log.')
)


def log_in(path: Path) -> Path:
    """The log itself, when a commune's directory was named."""
    inside = path / "log"
    return inside if not (path / CHECKPOINT).exists() and (inside / CHECKPOINT).exists() else path


def place(text: str) -> str | Path:
    """An address as it is, or the log in a directory."""
    return text if http_fetch.is_url(text) else log_in(Path(text))


def read_vkey(path: Path) -> note.Verifier:
    """The verifier key in a file."""
    try:
        return note.parse_vkey(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, FormatError) as error:
        raise UserError(
            _("cannot read a vkey: {error}").format(error=error),
            where=path,
            to_do=_("name the file with the log's verifier key, one line NAME+ID+KEY"),
        ) from error


def read_policy(path: Path | None) -> TlogPolicy | None:
    """The witnesses' policy in a file; None without a file."""
    try:
        return tlog_policy.parse(path.read_text(encoding="utf-8")) if path else None
    except (OSError, UnicodeDecodeError, FormatError) as error:
        raise UserError(_("not a tlog policy: {error}").format(error=error), where=path) from error


def read_names(path: Path | None, log: PublishedLog) -> dict[bytes, str]:
    """Names by id; those beside the log unless another file is named."""
    default = log.root.parent / "names.toml"
    if path is None and not default.exists():
        return {}
    try:
        table = tomllib.loads((path or default).read_text(encoding="utf-8"))
        return {bytes.fromhex(ident): str(name) for ident, name in table.items()}
    except (OSError, ValueError) as error:
        raise UserError(_("cannot read names: {error}").format(error=error), where=path or default) from error


def account(text: str) -> bytes:
    """An account's id from its hex digits."""
    try:
        account = bytes.fromhex(text)
    except ValueError:
        account = b""
    if len(account) != len(ISSUANCE):
        raise UserError(_("not an account: {text!r}").format(text=text), to_do=_("write its 32 hex digits"))
    return account


def amount_mc(text: str) -> int:
    """Milli-credits from what a person writes."""
    try:
        return parse_credits(text)
    except ValueError as error:
        raise UserError(str(error)) from error


def memo(text: str) -> str:
    """A memo that fits an entry."""
    if len(text.encode()) > MEMO_BYTES_MAX:
        raise UserError(_("the memo is longer than {count} bytes").format(count=MEMO_BYTES_MAX))
    return text
