"""`commonwatt web`: the pages of a commune in a browser, and who is invited to them."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from commonwatt import addresses
from commonwatt.cli.missing import packages_of
from commonwatt.clock import CivilClock
from commonwatt.i18n import _
from commonwatt.identity import load_key
from commonwatt.service import set_up_logging

app = typer.Typer(no_args_is_help=True, help=_("Show a commune in a browser."))

_DIRECTORY = typer.Argument(help=_("The directory of a commune."))
_HERE = "http://127.0.0.1:8680"
_CLOCK = typer.Option("", help=_("Civil time as CIVIL@WALLxFACTOR; default: now."))


@app.command("run", help=_("Serve the pages of a commune until told to stop; the aggregator may serve them too."))
def run_command(
    directory: Path = _DIRECTORY,
    host: str = typer.Option("127.0.0.1", help=_("The address to listen on; 0.0.0.0: every one.")),
    port: int = typer.Option(8680, min=0, max=65_535, help=_("The port to listen on; 0: a free one.")),
    zone: str | None = typer.Option(None, help=_("Where days begin; default: what web.toml says, or Europe/Paris.")),
    clock: str = _CLOCK,
    rate: float | None = typer.Option(None, help=_("Requests a second for each client address; default: 20.")),
    tls_cert: Path | None = typer.Option(None, help=_("PEM file of a certificate and its chain: serve HTTPS.")),
    tls_key: Path | None = typer.Option(None, help=_("PEM file of its key.")),
    local_ca: Path | None = typer.Option(
        None, help=_("The folder of a local CA (web ca), for HTTPS without another.")
    ),
    phone_port: int | None = typer.Option(None, help=_("Where phones fetch the local CA; default: 8681.")),
) -> None:
    """Beside the aggregator, which need not run. What is not given here is as DIR/web.toml says."""
    with packages_of("web run", extra="web"):
        from web import server
    set_up_logging()
    files = {"tls_cert": tls_cert, "tls_key": tls_key, "local_ca": local_ca}
    told = {
        "zone": zone,
        "requests_per_s": rate,
        "phone_port": phone_port,
        **{name: path.absolute() for name, path in files.items() if path is not None},
    }
    given = {name: value for name, value in told.items() if value is not None}
    server.run(directory, host=host, port=port, clock=clock, told=given)


@app.command("ca", help=_("Make a local CA and a certificate, for HTTPS where no public authority vouches."))
def ca_command(
    folder: Path = typer.Argument(help=_("Where the CA lies; made if it is not there.")),
    host: list[str] = typer.Option(
        [],
        help=_("A name or address under which browsers reach this machine; default: those it had, or all."),
    ),
) -> None:
    """Repeat it when you like: the CA stays, its certificate is made anew before it ends or for other hosts."""
    with packages_of("web ca", extra="web"):
        from web.tls import authority
    hosts = host or authority.hosts_of(folder) or [*addresses.of_this_machine(), *addresses.names()]
    ca = authority.ensure(folder, hosts, at=datetime.now(UTC))
    said = _("{folder}: a new CA, until {day}") if ca.is_new else _("{folder}: the CA is the one it was, until {day}")
    typer.echo(said.format(folder=folder, day=_day(ca.authority.not_valid_after_utc)))
    typer.echo(_("SHA-256, as phones show it: {fingerprint}").format(fingerprint=ca.fingerprint))
    ends = _day(ca.server.certificate.not_valid_after_utc)
    typer.echo(_("for {hosts}, until {day}").format(hosts=", ".join(ca.server.hosts), day=ends))
    typer.echo(_("Next, HTTPS and the page by which phones come to trust it:"))
    typer.echo(f"  commonwatt web run DIR --host 0.0.0.0 --local-ca {folder}")


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d}"


@app.command("invite", help=_("Print links by which somebody's browser takes up an account or an office, once each."))
def invite_command(
    directory: Path = _DIRECTORY,
    names: list[str] = typer.Argument(help=_("Whose accounts, as in the roster; or how newcomers are called.")),
    role: str = typer.Option("", help=_("An office instead: steward, townhall, operator or auditor.")),
    is_new: bool = typer.Option(False, "--new", help=_("Somebody without an account, whom a steward will admit.")),
    is_merchant: bool = typer.Option(False, "--merchant", help=_("A newcomer with a shop.")),
    email: str = typer.Option(
        "", help=_("Where sign-in links are sent later, and this one now, if web.toml names an SMTP server.")
    ),
    url: str = typer.Option("", help=_("Where the pages are reached; default: public_url of web.toml, or here.")),
    clock: str = _CLOCK,
) -> None:
    """A link is good for two weeks. Whoever has it is believed to be that person: hand it over carefully."""
    with packages_of("web invite", extra="web"):
        from web import settings
        from web.identity import inviting
        from web.identity.invitations import Invitation, InvitedAs
        from web.store.file import WebStore
    kind = InvitedAs.ROLE if role else InvitedAs.MERCHANT if is_merchant else InvitedAs.NEWCOMER
    is_account = not (role or is_new or is_merchant)
    kind = InvitedAs.ACCOUNT if is_account else kind
    subjects = [inviting.account_of(directory, name) if is_account else None for name in names]
    store, now_s = WebStore(directory), int(CivilClock.parse(clock).now_s())
    read = settings.load(directory)
    reached = (url or read.public_url or _HERE).rstrip("/")
    for name, subject in zip(names, subjects, strict=True):
        wanted = Invitation(kind, subject, role, name, email or None, None)
        link = f"{reached}/join/{inviting.invite(directory, store, wanted, now_s=now_s)}"
        typer.echo(link)
        if inviting.send(directory, read, wanted, link, now_s=now_s):
            typer.echo(_("sent to {email}").format(email=email))


@app.command("people", help=_("List who may sign in, and when they were last there."))
def people_command(directory: Path = _DIRECTORY, clock: str = _CLOCK) -> None:
    """Names and addresses are for the association's eyes only."""
    with packages_of("web people", extra="web"):
        from web.book.books import Books
        from web.identity import listing
        from web.store.file import WebStore
    lines = listing.people(Books(directory), WebStore(directory), now_s=int(CivilClock.parse(clock).now_s()))
    for line in lines:
        typer.echo(line)
    if not lines:
        typer.echo(_("nobody has taken up an invitation yet"))


@app.command("erase", help=_("Finish erasing the members for whom two offices have signed it."))
def erase_command(
    directory: Path = _DIRECTORY,
    zone: str = typer.Option("", help=_("Where days begin; default: what web.toml says, or Europe/Paris.")),
) -> None:
    """The aggregator and the pages must not be running. Repeated, it finishes what was begun."""
    with packages_of("web erase", extra="web"):
        from web import settings
        from web.consent import carrying_out
    read = settings.load(directory, {"zone": zone} if zone else {})
    count = 0
    for wish, entries in carrying_out.carry_out(directory, zone=read.zone):
        count += 1
        account = wish.account.hex()
        typer.echo(_("{account}: erased, with {entries} entries of the log").format(account=account, entries=entries))
    if not count:
        typer.echo(_("nobody is to be erased whose carry-forward is signed"))


@app.command("sign", help=_("Sign what waits on the desk with key files: new keys of members, offices, reversals."))
def sign_command(
    directory: Path = _DIRECTORY,
    keys: list[Path] = typer.Option(..., "--key", help=_("A key file; again for each further one.")),
    arrivals: bool = typer.Option(
        False, "--arrivals", help=_("Only new keys of members and offices, whatever else waits.")
    ),
) -> None:
    """Each draft gets the signatures that these keys may give; those that have enough go into the ledger."""
    with packages_of("web sign", extra="web"):
        from web.book.books import Books
        from web.identity import inviting
        from web.store.file import WebStore
    wanted = inviting.ARRIVALS if arrivals else None
    holders = [load_key(path) for path in keys]
    placed = inviting.sign_waiting(Books(directory), WebStore(directory), holders, purposes=wanted)
    for place in placed:
        typer.echo(_("signed and placed: entry {place}").format(place=place))
    if not placed:
        typer.echo(_("nothing was completed by these keys"))
