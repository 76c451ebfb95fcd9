"""`commonwatt`: one command, its parts found by entry points; mistakes end in a sentence, not a traceback."""

import os
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer import core
from typer import main as typer_main

from commonwatt import __version__
from commonwatt.cli.missing import packages_of
from commonwatt.errors import CommonwattError
from commonwatt.i18n import _

# Read when numpy is first imported. Our columns are sums and look-ups, for which its threads only wait, and waiting
# takes a core from the processes that verify.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

GROUP = "commonwatt.commands"
EXTRAS = ("gateway", "aggregator", "ledger", "web")
"""Parts with an extra of their own; the others need all."""

# Shown by `commonwatt --help` without importing any part; in the order in which a newcomer meets them.
SUMMARIES = {
    "demo": _("Run a commune of ten homes, every process real, and check its books."),
    "init": _("Make a new commune: keys, constitution, policy."),
    "admit": _("Admit members, sites, devices and gateways from a roster."),
    "people": _("List members, change what is known of them, and hand their data over."),
    "places": _("List dwellings, quarters and feeders, and change what is known of them."),
    "enrol": _("Bind devices that were set up to their members."),
    "device": _("List the devices of a commune and how they stand."),
    "gateway": _("Carry signed readings from meters to the broker."),
    "aggregator": _("Verify, settle and mint."),
    "policy": _("Check, explain, compare and try the rules that make credits."),
    "holds": _("Review measurements that are hard to believe."),
    "corrections": _("Take back what was settled of a device and is not true."),
    "evidence": _("Delete what a member's devices measured."),
    "statistics": _("Ask what a quarter or a feeder made and used, as far as nobody can be read off it."),
    "impact": _("Tell what energy did: kWh, CO2, rates and peaks, beside last week, last year and similar homes."),
    "indicators": _("Show what the commune wants to reach, whether it does, and what is due."),
    "opendata": _("Write the public totals of every quarter of an hour as open data."),
    "share": _("Work out a home's share from its own readings and the public totals."),
    "operator": _("Ask for less use in a peak, or more in a surplus."),
    "declare": _("Declare values that no meter measures."),
    "declared": _("See and confirm values that people declared."),
    "savings": _("Take part in savings, and see what was saved or why it cannot be told."),
    "ledger": _("Verify, read and pay from the public log."),
    "verify": _("Check a proof that someone hands you, offline, step by step."),
    "witness": _("Co-sign the checkpoints of logs that only grow."),
    "dashboards": _("Bring the dashboards to a Grafana."),
    "web": _("Show a commune in a browser."),
    "bench": _("Measure a figure beside the limit of this machine."),
}


class Parts(core.TyperGroup):
    """Lists the parts from a table and loads one only when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the installed parts."""
        installed = {entry.name for entry in entry_points(group=GROUP)}
        return [name for name in SUMMARIES if name in installed]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that carries the help text only; see `resolve_command`."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return core.TyperCommand(cmd_name, help=SUMMARIES[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the part that is to run."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None:
            return name, command, rest
        (entry,) = entry_points(group=GROUP, name=name)
        return name, _load(entry), rest


def _load(entry: EntryPoint) -> Any:
    name = entry.module.partition(".")[0]
    with packages_of(entry.name, extra=name if name in EXTRAS else "all"):
        part = entry.load()
    if not isinstance(part, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(help=SUMMARIES[entry.name])(part)
        part = single
    part._add_completion = False
    command = typer_main.get_command(part)
    command.name = entry.name
    return command


app = typer.Typer(
    cls=Parts,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=_("Commonwatt: a commune's currency, backed by energy that anyone can check."),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"commonwatt {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help=_("Show the version.")
    ),
) -> None:
    pass


def main() -> None:
    """Run the command; a CommonwattError becomes its sentence and its exit code."""
    try:
        app()
    except CommonwattError as error:
        typer.secho(str(error), fg=typer.colors.RED if sys.stderr.isatty() else None, err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
