"""`commonwatt device key | command | release`: functions to hang into the command's group."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _

if TYPE_CHECKING:
    from commonwatt.device.signing.command import Action

_KEY = typer.Option(help=_("The commune's key file for this; commonwatt device key makes one."))
_GENESIS = typer.Option(help=_("Hash of the commune's genesis entry, as in gateway.toml: 64 hexadecimal digits."))


def key_command(file: Path = typer.Argument(help=_("Where the key is made, if it is not there yet."))) -> None:
    """Print the public half, which goes into the devices' settings."""
    from commonwatt.identity import load_or_make_key

    typer.echo(load_or_make_key(file).public_key.hex())


def command_command(
    device: str = typer.Argument(help=_("The device's id: 32 hexadecimal digits.")),
    what: str = typer.Argument(help=_("on, off or schedule.")),
    rules: list[str] = typer.Argument(None, help=_('Rules of a schedule in UTC, as "mon-fri 06:30 on".')),
    key: Path = _KEY,
    genesis: str = _GENESIS,
    counter: int = typer.Option(1, help=_("At least this number: only after the file KEY.counter was lost.")),
    out: Path | None = typer.Option(None, help=_("Write the signed bytes here instead of printing them.")),
    broker_account: Path | None = typer.Option(
        None, help=_("Publish it too: TOML file with url, username, password and perhaps ca_file.")
    ),
    commune: str = typer.Option("", help=_("The commune's slug, if that broker is the one above the gateways.")),
    gateway: str = typer.Option("", help=_("The gateway's id, if that broker is the one above the gateways.")),
) -> None:
    """Sign a command for one device with the next number of this key, which is used up before anything leaves."""
    from commonwatt.device.signing import command
    from commonwatt.device.signing import counter as numbers
    from commonwatt.identity import load_key

    device_id = _hex(device, 16, _("device id"))
    genesis_sha256 = _hex(genesis, 32, _("genesis hash"))
    action = _action(what, rules or [])
    if bool(commune) != bool(gateway):
        raise UserError(_("a broker above the gateways needs both --commune and --gateway"))
    upstream = command.Upstream(commune, _hex(gateway, 16, _("gateway id"))) if commune else None
    topic = command.topic_of(device_id, upstream)
    publish = _publisher(broker_account) if broker_account else None
    signer = load_key(key)
    number = numbers.next_number(numbers.path_beside(key), counter)
    signed = command.sign(device_id, number, action, signer, genesis_sha256)
    if out is not None:
        out.write_bytes(signed)
    else:
        typer.echo(signed.hex())
    if publish is not None:
        publish(topic, signed)
    typer.echo(
        _("command {number} for {topic}, {size} bytes").format(number=number, topic=topic, size=len(signed)), err=True
    )


def release_command(
    image: Path = typer.Argument(help=_("The image: what MicroPython's build calls micropython.bin.")),
    board: str = typer.Option(help=_("The board whose devices may take it: a file of firmware/boards.")),
    number: int = typer.Option(help=_("The version that the image was built with; it must grow.")),
    key: Path = _KEY,
    genesis: str = _GENESIS,
    shelf: Path = typer.Option(Path("shelf"), help=_("The folder that a web server serves.")),
) -> None:
    """Sign an update and lay it where devices look for it."""
    from commonwatt.device.signing import release
    from commonwatt.identity import load_key

    genesis_sha256 = _hex(genesis, 32, _("genesis hash"))
    try:
        data = image.read_bytes()
    except OSError as error:
        raise UserError(_("cannot be read: {error}").format(error=error.strerror), where=image) from error
    made = release.release_of(data, board, number)
    for path in release.put(shelf, made, made.sign(load_key(key), genesis_sha256), data):
        typer.echo(f"{path.stat().st_size:>8}  {path}")


def _publisher(account_file: Path) -> Callable[[str, bytes], None]:
    """What publishes as this account; made before a number is used up, so that a mistake costs none."""
    from commonwatt.device.signing import sending

    return partial(sending.publish, sending.read_account(account_file))


def _action(what: str, rules: list[str]) -> "Action":
    from commonwatt.device.signing import command

    if what == "schedule":
        return command.schedule(rules)
    if what not in ("on", "off") or rules:
        raise UserError(
            _("{what!r} is no command").format(what=" ".join([what, *rules])), to_do=_("on, off or schedule")
        )
    return command.relay(what == "on")


def _hex(text: str, size: int, name: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != size or len(text) != 2 * size:
        raise UserError(
            _("{text!r} is no {name}").format(text=text, name=name),
            to_do=_("{digits} hexadecimal digits").format(digits=2 * size),
        )
    return data
