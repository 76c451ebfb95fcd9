"""`commonwatt init`, `admit`, `aggregator run`, `device list` and `device label`."""

import logging
import signal
from datetime import UTC, datetime
from pathlib import Path

import typer

from aggregator.telemetry import cli as telemetry_cli
from commonwatt.clock import CivilClock
from commonwatt.device.cli import calibrate_command, states_command
from commonwatt.device.flashing import cli as flashing
from commonwatt.device.signing import cli as signing
from commonwatt.errors import UserError
from commonwatt.i18n import _

log = logging.getLogger(__name__)

app = typer.Typer(no_args_is_help=True, help=_("Verify, settle and mint."))
app.add_typer(telemetry_cli.app, name="telemetry")
device_app = typer.Typer(no_args_is_help=True, help=_("List the devices of a commune and how they stand."))
device_app.command("states", help=_("Print what a device says of its meter, for calibrate."))(states_command)
device_app.command("calibrate", help=_("Work out a plug's gains from a known load."))(calibrate_command)

device_app.command("build", help=_("Compile the firmware and pack one archive for each board."))(
    flashing.build_command
)
device_app.command("flash", help=_("Put the firmware on a device over its serial port."))(flashing.flash_command)
device_app.command("enrol", help=_("Give a device its settings and print its public key."))(flashing.enrol_command)
device_app.command("monitor", help=_("Show what a device prints."))(flashing.monitor_command)
device_app.command("key", help=_("Make a key for commands or updates, and print its public half."))(
    signing.key_command
)
device_app.command("command", help=_("Sign a command for a device's relay: on, off, or a schedule."))(
    signing.command_command
)
device_app.command("release", help=_("Sign an update of the firmware and lay it on a shelf."))(
    signing.release_command
)

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_CLOCK = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now."))


@app.callback()
@device_app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


def init(
    directory: Path = typer.Argument(help=_("Where the commune is made.")),
    name: str = typer.Option(help=_("What people call the commune.")),
    origin: str = typer.Option("", help=_("The log's name in its checkpoints; default: NAME.example/log.")),
    policy: Path | None = typer.Option(None, help=_("The policy to begin with; default: the one that comes along.")),
    trial: bool = typer.Option(
        True, "--trial/--real", help=_("A trial publishes everything; its credits are never worth anything.")
    ),
    units: list[str] = typer.Option(
        [],
        "--unit",
        help=_("A unit beside energy credits, for good: euro, hours, or mutual=NAME:SOFT:HARD with its limits."),
    ),
    clock: str = _CLOCK,
) -> None:
    """Make a new commune: keys, constitution, policy, and the first checkpoint of its log."""
    from aggregator.commune.init import found_commune, slug_of
    from aggregator.policy.rules import DEFAULT_FILE, Policy
    from ledger.book.found import unit_terms

    try:
        terms = [unit_terms(text) for text in units]
    except ValueError as error:
        raise UserError(str(error), where="--unit") from error
    found_commune(
        directory,
        title=name,
        origin=origin or f"{slug_of(name)}.example/log",
        policy=Policy.load(policy or DEFAULT_FILE),
        is_trial=trial,
        time_s=int(CivilClock.parse(clock).now_s()),
        units=terms,
    )
    typer.echo(_("{name} is founded in {directory}").format(name=name, directory=directory))
    typer.echo(
        _("Next: give each key in {keys} to its holder, then admit people and meters:").format(
            keys=directory / "keys"
        )
    )
    typer.echo(f"  commonwatt admit {directory} ROSTER.toml")


def admit(
    directory: Path = _DIRECTORY,
    roster: Path = typer.Argument(help=_("Who and what to admit (TOML); see docs/operating/admitting.md.")),
    clock: str = _CLOCK,
) -> None:
    """Admit members, merchants, sites, devices and gateways. A running aggregator carries it out at once."""
    from aggregator.commune import admission, amendments
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.commune.roster import Roster
    from aggregator.private.store import PrivateStore
    from commonwatt import settings
    from ledger import door

    place = CommuneDirectory(directory)
    store = PrivateStore(place.private_db)
    time_s = int(CivilClock.parse(clock).now_s())
    proposals = admission.propose(settings.load(Roster, roster), store, at_s=time_s)
    steward = place.load_key("steward")
    with door.opened(directory) as ledger:
        store.save()
        answers = admission.admit(proposals, ledger, steward=steward, time_s=time_s)
        amended = amendments.log(store, ledger, steward=steward, time_s=time_s)
    for proposal, is_new in answers:
        note = "" if is_new else _("  (was admitted before)")
        typer.echo(f"{proposal.body.id.hex()}  {proposal.kind:8}  {proposal.name}{note}")
    for person in amended:
        typer.echo(_("{id}  what is known of {name} has changed").format(id=person.id.hex(), name=person.name))


@app.command("run", help=_("Take batches, keep evidence, close intervals and mint, until told to stop."))
def run_command(
    directory: Path = _DIRECTORY,
    broker_account: Path = typer.Option(help=_("TOML file with url, username, password and perhaps ca_file.")),
    clock: str = _CLOCK,
    status: Path | None = typer.Option(
        None, help=_("A JSON file to rewrite once a second; default: DIR/status.json.")
    ),
    influx: Path | None = typer.Option(None, help=_("TOML file with url, org, bucket and token of an InfluxDB.")),
    database: str = typer.Option(
        "", help=_("The engine's URL; default: what aggregator.toml says, or SQLite in DIR.")
    ),
    processes: int = typer.Option(
        0, min=0, max=64, help=_("Processes that verify signatures beside this one; a town needs none.")
    ),
    watch: str = typer.Option("", help=_("HOST:PORT of /health and /metrics, for example 127.0.0.1:8072.")),
    pages: str = typer.Option(
        "", metavar="[HOST:]PORT", help=_("Serve the commune's pages too, as web run does; web.toml says how.")
    ),
    verbose: bool = typer.Option(False, help=_("Say more.")),
) -> None:
    """Ends by itself only when the disk or a database fails (exit code 3)."""
    from aggregator.app import Options, run
    from commonwatt.service import Stop, set_up_logging

    set_up_logging(verbose=verbose)
    options = Options(
        directory=directory,
        broker_account=broker_account,
        clock=CivilClock.parse(clock),
        status_file=status or directory / "status.json",
        influx=influx,
        database_url=database or None,
        processes=processes,
        watch=host_port(watch) if watch else None,
        pages=host_port(pages, "--pages", host="127.0.0.1") if pages else None,
    )
    run(options, Stop().on_signals())


@app.command("statistics", help=_("Serve `commonwatt statistics` over HTTP, until told to stop."))
def statistics_command(
    directory: Path = _DIRECTORY,
    listen: str = typer.Option("127.0.0.1:8073", help=_("HOST:PORT to listen on; put TLS in front of it.")),
    database: str = typer.Option(
        "", help=_("The engine's URL; default: what aggregator.toml says, or SQLite in DIR.")
    ),
) -> None:
    """Reads only, but for the memory of what was told; the aggregator may be running."""
    import threading

    from aggregator.commune.directory import CommuneDirectory
    from aggregator.privacy.http import StatisticsPages
    from commonwatt.service import set_up_logging

    set_up_logging()
    CommuneDirectory(directory).load()  # a directory that is no commune's is named as such
    address = host_port(listen, "--listen")
    ends = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_ignored: ends.set())
    with StatisticsPages(directory, address, database_url=database) as pages:
        log.info("listening on http://%s:%d", address[0], pages.port)
        ends.wait()


@device_app.command("replace", help=_("Put a new meter in an old one's place; the account stays as it is."))
def replace_command(
    directory: Path = _DIRECTORY,
    old: str = typer.Argument(help=_("The old device's id or name.")),
    new: str = typer.Argument(help=_("The new device's id, 32 hexadecimal digits.")),
    public_key: str = typer.Option("", help=_("The new device's key; default: that of its label (enrol expect).")),
    name: str = typer.Option("", help=_("What people call the new one; default: the old one's name and its id.")),
    clock: str = _CLOCK,
) -> None:
    """Prints the new device. A running aggregator carries it out at once."""
    from aggregator.commune import replacing
    from aggregator.commune.directory import CommuneDirectory
    from aggregator.enrolment.store import enrolling
    from aggregator.private.store import PrivateStore
    from ledger import door

    place = CommuneDirectory(directory)
    steward = place.load_key("steward")
    store = PrivateStore(place.private_db)
    known = store.find("devices", old)
    before, after = known.id if known else _hex(old, 16, "OLD"), _hex(new, 16, "NEW")
    with enrolling(place.private_db) as enrolment:
        label = enrolment.labels().get(after)
    key = label.public_key if label and not public_key else _hex(public_key, 32, "--public-key")
    with door.opened(directory) as ledger:
        body = replacing.replace(
            *(ledger, store),
            old=before,
            device=after,
            public_key=key,
            name=name or f"{store.name_of(before)} {new[:8]}",
            steward=steward,
            time_s=int(CivilClock.parse(clock).now_s()),
        )
    typer.echo(f"{body.id.hex()}  {store.name_of(body.id)}")


def _hex(text: str, size: int, where: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        raise UserError(_("{text!r} is no id or key").format(text=text), where=where, to_do=_("hexadecimal digits"))
    return value


def host_port(text: str, option: str = "--watch", *, host: str = "") -> tuple[str, int]:
    """An address as people write it; UserError names the option that has another one. `host`: the one that is meant
    where none is written."""
    written, _colon, port = text.rpartition(":")
    host = written or host
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UserError(_("{text!r} is not HOST:PORT").format(text=text), where=option)
    return host.strip("[]"), int(port)


@device_app.command(
    "list", help=_("Print every device: id, role, standing, trust grade, rated power, blocks, last reading, name.")
)
def list_command(directory: Path = _DIRECTORY) -> None:
    """Reads the published log and the evidence, so it may be asked while the aggregator runs."""
    from aggregator.commune.devices import list_devices

    for row in list_devices(directory):
        seen = datetime.fromtimestamp(row.latest_s, UTC).strftime("%Y-%m-%d %H:%M") if row.latest_s else "-"
        frozen = _("  FROZEN: it signed two histories") if row.is_frozen else ""
        missing = _("  {count} blocks missing").format(count=row.missing) if row.missing else ""
        typer.echo(
            f"{row.device.hex()}  {row.role:10}  {row.status:9}  {row.grade:7}  {row.rated_power_w:>6} W  "
            f"{row.blocks:>7}  {seen:16}  {row.name}{missing}{frozen}"
        )


@device_app.command("label", help=_("Draw a device's label: its id and claim code, for people and as a QR code."))
def label_command(
    device: str = typer.Argument(help=_("The device's id: 32 hexadecimal digits.")),
    name: str = typer.Option("", help=_("What people call it; at most 24 characters.")),
    code: str = typer.Option("", help=_("Its claim code; default: a new random one.")),
    out: Path = typer.Option(Path("label.svg"), help=_("The SVG file to write, 62 mm by 29 mm.")),
) -> None:
    """Prints the claim code and its hash; the commune keeps the hash, the person keeps the label."""
    from commonwatt import device_label
    from commonwatt.errors import UserError

    if len(device) != 32 or not set(device.lower()) <= set("0123456789abcdef"):
        raise UserError(_("{device!r} is no device id").format(device=device), to_do=_("32 hexadecimal digits"))
    claim_code = device_label.read_claim_code(code) if code else device_label.new_claim_code()
    device_id = bytes.fromhex(device)
    out.write_text(device_label.label_svg(device_id, claim_code, name), encoding="utf-8")
    typer.echo(f"{out}  {device_label.content(device_id, claim_code)}")
    typer.echo(_("hash of the claim: {digest}").format(digest=device_label.claim_hash(device_id, claim_code)))
