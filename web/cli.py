"""`commonwatt web`: the pages of a commune in a browser."""

from pathlib import Path

import typer

from commonwatt.cli.missing import packages_of
from commonwatt.i18n import _
from commonwatt.service import set_up_logging

app = typer.Typer(no_args_is_help=True, help=_("Show a commune in a browser."))


@app.callback()
def web() -> None:
    """The name stands before its commands, of which there will be more."""


@app.command("run", help=_("Serve the public pages of a commune: energy and money, the log, open data."))
def run_command(
    directory: Path = typer.Argument(help=_("The directory of a commune.")),
    host: str = typer.Option("127.0.0.1", help=_("The address to listen on; put TLS in front of it.")),
    port: int = typer.Option(8680, min=0, max=65_535, help=_("The port to listen on; 0: a free one.")),
    zone: str = typer.Option("Europe/Paris", help=_("Where days begin.")),
    clock: str = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now.")),
    per_s: float = typer.Option(20.0, "--rate", min=0.1, help=_("Requests a second for each client address.")),
) -> None:
    """Beside the aggregator, which need not run: until SIGTERM or SIGINT."""
    with packages_of("web run", extra="web"):
        from web import server
    set_up_logging()
    server.run(directory, host=host, port=port, zone=zone, clock=clock, per_s=per_s)
