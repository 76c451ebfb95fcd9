"""`commonwatt demo`: a commune of ten homes, or of forty, in minutes."""

from pathlib import Path

import typer

from commonwatt import serving
from commonwatt.demo.plan import POLICY, ROOT, SPEED_DEFAULT, Plan
from commonwatt.errors import UserError
from commonwatt.i18n import _

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    homes: int = typer.Option(10, envvar="HOMES", help=_("A street of 10 homes, or a village of 40.")),
    days: int = typer.Option(1, envvar="DAYS", help=_("Days of measured data to replay, 1 to 7.")),
    speed: int = typer.Option(
        SPEED_DEFAULT, envvar="SPEED", help=_("How many times as fast as the wall clock civil time runs.")
    ),
    faults: bool = typer.Option(
        False,
        "--faults",
        envvar="FAULTS",
        help=_("Kill gateway, aggregator, broker and meter readers at seeded instants."),
    ),
    seed: int = typer.Option(1, envvar="SEED", help=_("Seed of the faults.")),
    broker: str = typer.Option("", envvar="BROKER", help=_("Use this broker (mqtt://host:port) instead of our own.")),
    policy: Path = typer.Option(POLICY, envvar="POLICY", help=_("The policy by which credits are earned.")),
    influx: str = typer.Option(
        "", envvar="INFLUX", help=_("Fill this InfluxDB for dashboards: http://HOST:8086, or a TOML file.")
    ),
    keep: bool = typer.Option(
        False, "--keep", envvar="KEEP", help=_("Stay afterwards: the commune's pages in a browser, until Ctrl-C.")
    ),
    tls: bool = typer.Option(
        False, "--tls", envvar="TLS", help=_("The same for phones in your network: HTTPS by a local CA.")
    ),
    directory: Path = typer.Option(Path("var/demo"), "--dir", help=_("Where the commune is left for inspection.")),
) -> None:
    """Run a commune of ten or forty homes, every process real, and check its books."""
    if not (ROOT / "firmware" / "main.py").exists():
        raise UserError(
            _("the demo runs the project's firmware, which an installed package does not carry"),
            to_do=_("run it in a clone of the project: make demo"),
        )
    from commonwatt.demo.story import tell  # its parts need the demo's extra packages

    plan = Plan(
        directory=directory.absolute(),
        homes=homes,
        days=days,
        speed=speed,
        seed=seed,
        faults=faults,
        broker_url=broker or None,
        policy=policy,
        influx=influx or None,
        keep=keep or tls,
        tls=tls,
    )
    if plan.keep:
        serving.pages()  # what is missing is better said now than when the day is lived
    raise typer.Exit(tell(plan))
