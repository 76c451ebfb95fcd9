"""`commonwatt dashboards push` and `commonwatt dashboards secrets`."""

import json
from datetime import UTC, datetime
from pathlib import Path

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _

app = typer.Typer(no_args_is_help=True, help=_("Bring the dashboards to a Grafana."))


@app.callback()
def _group() -> None:
    """Keeps a group a group."""


@app.command("push", help=_("Bring folder, data source, dashboards and alert rules to a Grafana that is there."))
def push_command(
    url: str = typer.Option(help=_("Where Grafana is, as in the browser.")),
    token: str = typer.Option("", envvar="GRAFANA_TOKEN", help=_("A service account's token, or --token-file.")),
    token_file: Path | None = typer.Option(
        None, help=_("A file with the token, so that no list of processes has it.")
    ),
    influx: str = typer.Option(
        "",
        help=_("Make the data source: an InfluxDB's http://HOST:8086, or a TOML file with url, bucket and token."),
    ),
    data_source: str = typer.Option("", help=_("The uid of an InfluxDB data source that is there already.")),
    demo: Path | None = typer.Option(None, help=_("A demo's directory: open the dashboards at the days it lived.")),
    home: bool = typer.Option(False, "--home", help=_("Bring the dashboard of one home, and nothing else.")),
    directory: Path | None = typer.Option(None, "--from", help=_("Other dashboards than those that come along.")),
    dry_run: bool = typer.Option(False, "--dry-run", help=_("Look and tell, change nothing.")),
) -> None:
    """May be repeated: what is as it should be stays untouched."""
    from commonwatt.grafana import bundle, source, wanted
    from commonwatt.grafana.api import Grafana
    from commonwatt.grafana.bundle import Audience
    from commonwatt.grafana.push import Order, push

    if influx and data_source:
        raise UserError(_("--influx makes a data source, --data-source names one: give one of them"))
    audiences = [Audience.HOME] if home else [Audience.OPERATORS, Audience.PUBLIC]
    order = Order(
        bundle.read(directory or bundle.built(), audiences),
        source=data_source or wanted.SOURCE,
        influx=source.named(influx) if influx else None,
        span=_lived(demo) if demo else None,
        is_dry=dry_run,
    )
    grafana = Grafana(url, _token(token, token_file))
    for done in push(grafana, order):
        note = f"  ({done.note})" if done.note else ""
        typer.echo(f"{_word(done.outcome.value, is_dry=dry_run):16}  {done.kind:14}  {done.name}{note}")
    for audience in audiences:
        folder = wanted.folder(audience)
        typer.echo(_("Open {url}").format(url=f"{grafana.url}/dashboards/f/{folder['uid']}"))


def _word(outcome: str, *, is_dry: bool) -> str:
    words = {
        "made": _("would be made") if is_dry else _("made"),
        "changed": _("would change") if is_dry else _("changed"),
        "unchanged": _("as it should be"),
        "left": _("left alone"),
    }
    return words[outcome]


def _token(token: str, file: Path | None) -> str:
    if token and file is not None:
        raise UserError(_("--token and --token-file: give one of them"))
    if file is None:
        if not token:
            raise UserError(
                _("there is no token"), to_do=_("--token-file FILE, --token or the environment's GRAFANA_TOKEN")
            )
        return token
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(_("cannot be read: {error}").format(error=error), where=file) from error


def _lived(directory: Path) -> tuple[str, str]:
    """From when to when a demo lived, as Grafana spells times."""
    file = directory / "demo.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        times = [datetime.fromtimestamp(content[key], UTC) for key in ("starts_s", "ends_s")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(_("this is no demo's directory"), where=directory, to_do="make demo HOMES=40") from error
    return f"{times[0]:%Y-%m-%dT%H:%M:%S.000Z}", f"{times[1]:%Y-%m-%dT%H:%M:%S.000Z}"


@app.command("secrets", help=_("Make the passwords of a Grafana and an InfluxDB that are set up anew."))
def secrets_command(
    directory: Path = typer.Argument(Path("deploy/secrets"), help=_("Where the files go, one for each password.")),
    influx_url: str = typer.Option(
        "http://influxdb:8086", help=_("InfluxDB as the aggregator reaches it; the default is the compose file's.")
    ),
) -> None:
    """May be repeated: a password that is there stays."""
    from commonwatt.grafana import secrets

    try:
        made = secrets.make(directory, influx_url=influx_url)
    except OSError as error:
        raise UserError(_("cannot be written: {error}").format(error=error.strerror), where=directory) from error
    for path in made:
        typer.echo(path)
    typer.echo(
        _("{made} files made in {directory}, what was there is untouched").format(made=len(made), directory=directory)
    )
