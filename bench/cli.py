"""`commonwatt bench PART [NAME]`: figures beside the limits of this machine, measured in the same run."""

import json

import typer
from rich.console import Console
from rich.table import Table

from bench.figure import Figure
from bench.parts import chosen
from commonwatt.i18n import _

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    part: str = typer.Argument(help=_("firmware, gateway, aggregator, telemetry, ledger, or all.")),
    name: str = typer.Argument("", help=_("One figure of the part; all of them if left away.")),
    as_json: bool = typer.Option(False, "--json", help=_("Print a JSON array instead of a table.")),
) -> None:
    """Measure a figure beside the limit of this machine."""
    figures = [(benchmark.part, benchmark.run()) for benchmark in chosen(part, name or None)]
    if as_json:
        typer.echo(json.dumps([figure.as_json() for _part, figure in figures], indent=1))
    else:
        Console().print(_table(figures))


def _table(figures: list[tuple[str, Figure]]) -> Table:
    table = Table(box=None, header_style="dim")
    for header in (_("part"), _("name"), _("figure"), _("unit"), _("limit"), _("ratio")):
        table.add_column(header, justify="right" if header in (_("figure"), _("limit"), _("ratio")) else "left")
    for part, figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:,.0f}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(part, figure.name, f"{figure.figure:,.2f}", figure.unit, limit, ratio)
    return table
