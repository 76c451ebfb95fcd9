"""`commonwatt gateway`: run it, name its keys, look at its meters, configure its broker."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import typer

from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import load_or_make_key, new_id
from commonwatt.service import set_up_logging
from commonwatt.settings import load
from gateway import app as wiring
from gateway.devices.broker import Place, Roster
from gateway.devices.broker_files import write_broker
from gateway.meters import checking, proposal, searching
from gateway.meters.meter import fleet
from gateway.settings import read_settings

app = typer.Typer(no_args_is_help=True, help=_("Carry signed readings from meters to the broker."))

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)
SETTINGS = typer.Argument(..., metavar="GATEWAY.toml", help=_("The gateway's settings."))
CLOCK = typer.Option("", "--clock", help=_("Civil clock as CIVIL@WALLxFACTOR; default: wall time."))


@app.command(help=_("Run the gateway until it is stopped."))
def run(
    settings_file: Path = SETTINGS,
    clock: str = CLOCK,
    verbose: bool = typer.Option(False, "--verbose", help=_("Log every detail.")),
    json_log: bool = typer.Option(False, "--json-log", help=_("Log one JSON object a line.")),
) -> None:
    """Run the service; exit code 3 if the disk or the spool fails."""
    set_up_logging(verbose=verbose, as_json=json_log)
    wiring.run(settings_file, civil=CivilClock.parse(clock), clock_is_told=bool(clock))


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


@app.command(help=_("Look for meters on a bus and add them to the settings; nothing that stands there is touched."))
def scan(
    settings_file: Path = SETTINGS,
    tcp: str = typer.Option("", metavar="HOST[:PORT]", help=_("A meter or converter that speaks Modbus TCP.")),
    rtu_over_tcp: str = typer.Option("", metavar="HOST:PORT", help=_("A converter that carries RTU frames.")),
    serial: str = typer.Option("", metavar="PATH", help=_("An RS-485 adapter, best as /dev/serial/by-id/….")),
    mbus: str = typer.Option("", metavar="PATH", help=_("A level converter for M-Bus.")),
    mbus_over_tcp: str = typer.Option("", metavar="HOST:PORT", help=_("An M-Bus converter in the network.")),
    tic: str = typer.Option("", metavar="PATH", help=_("A dongle on a Linky.")),
    baud: str = typer.Option("", help=_("Speeds to try, as 9600,19200; default: the usual ones.")),
    parity: str = typer.Option("", help=_("Parities to try, as none,even; default: both.")),
    units: str = typer.Option(
        "", help=_("Addresses to ask, as 1-247 or 1,3,126; default: the usual with --tcp, else all.")
    ),
    timeout_s: float = typer.Option(0.3, min=0.01, help=_("How long to wait for each address.")),
    dry_run: bool = typer.Option(False, help=_("Print what would be added and write nothing.")),
) -> None:
    """Exit code 1 if nothing answered."""
    places = {
        "modbus-tcp": tcp, "modbus-rtu-over-tcp": rtu_over_tcp, "modbus-rtu": serial,
        "mbus-serial": mbus, "mbus-over-tcp": mbus_over_tcp, "tic": tic,
    }  # fmt: skip
    candidates = searching.candidates(places, bauds=baud, parities=parity, timeout_s=timeout_s)
    known = proposal.read_known(settings_file)
    bus, found = asyncio.run(
        searching.search(candidates, searching.parse_units(units, candidates[0]), searching.library(known), tell)
    )
    text = proposal.addition(known, bus, found, new_id)
    if not found:
        raise UserError(
            _("nothing answered"), where=bus.place, to_do=_("look at wires, power, address, speed, parity")
        )
    if not text:
        typer.echo(_("everything that answered stands in {file} already").format(file=settings_file))
        return
    if not dry_run:
        proposal.append(settings_file, text)
        typer.echo(_("added to {file}; look at it, then run `commonwatt gateway check`:").format(file=settings_file))
    typer.echo(text)


def tell(sentence: str) -> None:
    """How far a scan is; standard output stays free for what it proposes."""
    typer.echo(sentence, err=True)


@app.command(help=_("Write a broker's configuration with an account and topic rights for everyone in a roster."))
def broker_config(
    roster_file: Path = typer.Argument(
        ..., metavar="ACCOUNTS.toml", help=_("commune, aggregator = true, gateways = [ids], devices = [ids].")
    ),
    directory: Path = typer.Argument(..., metavar="DIR", help=_("Where the files go.")),
    host: str = typer.Option("127.0.0.1", help=_("Where the broker listens for MQTT.")),
    name: str = typer.Option("", help=_("What clients call it, a host name or address; default: HOST.")),
    port: int | None = typer.Option(None, help=_("Its MQTT port; default: 8883, in plaintext 1883.")),
    store_dir: Path | None = typer.Option(None, help=_("Where the broker keeps its data; default: DIR/store.")),
    http_port: int | None = typer.Option(None, help=_("nats-server's monitoring on loopback; default: none.")),
    nats_port: int | None = typer.Option(
        None, help=_("nats-server's own port, for aggregators that pull batches from JetStream; default: none.")
    ),
    plaintext: bool = typer.Option(
        False, "--plaintext", help=_("No TLS: for a demo, or a line that you answer for.")
    ),
) -> None:
    """nats.conf, mosquitto.conf with its acl and passwd, passwords.toml, certificates, and one file per account."""
    roster = load(Roster, roster_file)
    directory = directory.resolve()
    if not name and host in EVERYWHERE:
        raise UserError(
            _("clients cannot call the broker {host}").format(host=host), to_do=_("add --name with its host name")
        )
    place = Place(
        host=host,
        name=name or host,
        port=port or (1883 if plaintext else 8883),
        store_dir=(store_dir or directory / "store").resolve(),
        http_port=http_port,
        nats_port=nats_port,
        tls=None if plaintext else directory,
        wants_certificates=roster.wants_certificates and not plaintext,
    )
    count = write_broker(roster, directory, place, datetime.now(UTC))
    typer.echo(_("{count} accounts written to {place}").format(count=count, place=directory))
