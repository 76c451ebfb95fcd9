"""`commonwatt gateway`: run it, name its keys, look at its meters, configure its broker."""

import asyncio
import json
import os
from pathlib import Path

import typer

from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import load_or_make_key
from commonwatt.service import set_up_logging
from commonwatt.settings import load, read_toml
from gateway import app as wiring
from gateway.devices import broker
from gateway.meters import checking
from gateway.meters.meter import fleet
from gateway.settings import read_settings

app = typer.Typer(no_args_is_help=True, help=_("Carry signed readings from meters to the broker."))

PASSWORDS = "passwords.toml"
"""Kept from run to run: a roster that grows changes nobody's password."""

SETTINGS = typer.Argument(..., metavar="GATEWAY.toml", help=_("The gateway's settings."))
CLOCK = typer.Option("", "--clock", help=_("Civil clock as CIVIL@WALLxFACTOR; default: wall time."))


@app.command(help=_("Run the gateway until it is stopped."))
def run(
    settings_file: Path = SETTINGS,
    clock: str = CLOCK,
    verbose: bool = typer.Option(False, "--verbose", help=_("Log every detail.")),
) -> None:
    """Run the service; exit code 3 if the disk or the spool fails."""
    set_up_logging(verbose=verbose)
    wiring.run(read_settings(settings_file), civil=CivilClock.parse(clock), clock_is_told=bool(clock))


@app.command(
    help=_("Make the keys of the gateway and its meters, if need be, and print their public halves as JSON.")
)
def identity(settings_file: Path = SETTINGS) -> None:
    """What a roster needs to admit this gateway and its meters."""
    settings = read_settings(settings_file)
    meters = [
        {"name": m.name, "device": m.device.hex(), "public_key": load_or_make_key(m.key_file).public_key.hex()}
        for m in settings.meters
    ]
    own = {"id": settings.id.hex(), "public_key": load_or_make_key(settings.key_file).public_key.hex()}
    typer.echo(json.dumps({"gateway": own, "meters": meters}))


@app.command(help=_("Read each meter once and print its values, to compare with its display."))
def check(settings_file: Path = SETTINGS) -> None:
    """Exit code 1 if a meter does not answer."""
    settings = read_settings(settings_file)
    reports = asyncio.run(checking.check_all(fleet(settings), MonotonicClock()))
    for report in reports:
        typer.echo(report.text())
    if not all(report.answered for report in reports):
        raise typer.Exit(1)


@app.command(help=_("Write a broker's configuration with an account and topic rights for everyone in a roster."))
def broker_config(
    roster_file: Path = typer.Argument(
        ..., metavar="ACCOUNTS.toml", help=_("commune, aggregator = true, gateways = [ids], devices = [ids].")
    ),
    directory: Path = typer.Argument(..., metavar="DIR", help=_("Where the files go.")),
    host: str = typer.Option("127.0.0.1", help=_("Where the broker listens for MQTT.")),
    port: int = typer.Option(1883, help=_("Its MQTT port.")),
    store_dir: Path | None = typer.Option(None, help=_("Where the broker keeps its data; default: DIR/store.")),
    http_port: int | None = typer.Option(None, help=_("nats-server's monitoring on loopback; default: none.")),
) -> None:
    """nats.conf, mosquitto.conf with its acl and passwd, passwords.toml, and one file per account."""
    roster = load(broker.Roster, roster_file)
    directory = directory.resolve()
    place = broker.Place(
        host=host, port=port, store_dir=(store_dir or directory / "store").resolve(), http_port=http_port
    )
    rights = broker.rights_of(roster)
    known = read_toml(directory / PASSWORDS) if (directory / PASSWORDS).exists() else {}
    passwords = broker.passwords_of(rights, known)
    accounts = {
        f"accounts/{name}.toml": broker.account_toml(name, password, place) for name, password in passwords.items()
    }
    files = {
        "nats.conf": broker.nats_conf(roster.commune, rights, passwords, place),
        "mosquitto.conf": broker.mosquitto_conf(directory, place),
        "mosquitto.acl": broker.mosquitto_acl(rights),
        "mosquitto.passwd": broker.mosquitto_passwd(passwords),
        PASSWORDS: broker.passwords_toml(passwords),
        **accounts,
    }
    _write_private(directory, files)
    place.store_dir.mkdir(parents=True, exist_ok=True)
    typer.echo(_("{count} accounts written to {place}").format(count=len(rights), place=directory))


def _write_private(directory: Path, files: dict[str, str]) -> None:
    """Write the files readable by their owner only; UserError if the directory cannot be written."""
    try:
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                os.fchmod(handle, 0o600)
                file.write(text)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=directory) from error
