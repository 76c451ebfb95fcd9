"""`commonwatt witness`: co-sign checkpoints of logs that only grow."""

import logging
import threading
from pathlib import Path

import typer

from commonwatt.clock import CivilClock
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from commonwatt.identity import load_or_make_key
from commonwatt.service import Stop, set_up_logging
from ledger.log import note
from ledger.log.note import Verifier
from ledger.witness.cosignature import CosigningKey
from ledger.witness.http import Witness, serve
from ledger.witness.store import WitnessStore

app = typer.Typer(no_args_is_help=True, help=_("Co-sign the checkpoints of logs that only grow."))
log = logging.getLogger(__name__)

_DIRECTORY = typer.Argument(help=_("The witness's directory: its key and what it has seen; made on the first start."))
_NAME = typer.Option(..., help=_("The witness's name in its signatures, for example mairie.example/witness."))


@app.command("run", help=_("Answer logs over HTTP until stopped (C2SP tlog-witness)."))
def run_command(
    directory: Path = _DIRECTORY,
    name: str = _NAME,
    log_vkeys: list[Path] = typer.Option(..., "--log", help=_("A file with a log's vkey; may be repeated.")),
    host: str = typer.Option("127.0.0.1", help=_("The address to listen on.")),
    port: int = typer.Option(8640, min=0, max=65_535, help=_("The port to listen on; 0: a free one.")),
    clock: str = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now.")),
) -> None:
    """Prints the vkey that others put into their policies, then serves."""
    set_up_logging()
    key = _key(directory, name)
    logs = [_read_log(path) for path in log_vkeys]
    stop = Stop().on_signals()
    with WitnessStore(directory / "witness.db") as store:
        judge = Witness(key=key, logs=logs, store=store, clock=CivilClock.parse(clock))
        server = serve(host, port, judge)
        typer.echo(
            _("{vkey}\nlistening on http://{host}:{port}").format(
                vkey=key.cosigner, host=host, port=server.server_address[1]
            )
        )
        thread = threading.Thread(target=server.serve_forever, name="witness")
        thread.start()
        while not stop:
            thread.join(timeout=0.2)
        server.shutdown()
        thread.join()
        server.server_close()


@app.command("key", help=_("Print the witness's vkey, for tlog policies; the key is made on the first call."))
def key_command(directory: Path = _DIRECTORY, name: str = _NAME) -> None:
    """One line on standard output."""
    typer.echo(str(_key(directory, name).cosigner))


def _key(directory: Path, name: str) -> CosigningKey:
    if not note.is_name(name):
        raise UserError(_("not a name: {name!r}").format(name=name), to_do=_("use no space and no plus sign"))
    return CosigningKey(name, load_or_make_key(directory / "witness.key"))


def _read_log(path: Path) -> Verifier:
    try:
        return note.parse_vkey(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, FormatError) as error:
        raise UserError(_("cannot read a vkey: {error}").format(error=error), where=path) from error
