"""`commonwatt device build | flash | enrol | monitor`: functions to hang into the command's group."""

from pathlib import Path

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _

_PORT = typer.Argument(help=_("The serial port, as /dev/ttyUSB0."))


def build_command(
    firmware: Path = typer.Option(Path("firmware"), help=_("The folder of the firmware's sources.")),
    out: Path = typer.Option(Path("firmware/build"), help=_("Where the archives go; it is made anew.")),
    number: int = typer.Option(1, help=_("The version that the firmware says it is; updates must grow.")),
) -> None:
    """Compile the firmware and pack one archive for each board."""
    from commonwatt.device.flashing.build import build

    if not (firmware / "boards").is_dir():
        raise UserError("no firmware sources here", where=firmware, to_do="run it in a clone, or name --firmware")
    typer.echo(_("bytecode   archive  board"))
    for made in build(firmware, out, number):
        typer.echo(f"{made.mpy_bytes:>8}  {made.path.stat().st_size:>8}  {made.path} ({made.chip})")


def flash_command(
    port: str = _PORT,
    archive: Path = typer.Argument(help=_("The board's archive, made by make firmware.")),
    image: Path | None = typer.Option(None, help=_("MicroPython for this chip; erases the device first.")),
) -> None:
    """Put the firmware on a device over its serial port."""
    from commonwatt.device.flashing.port import flash, read_archive

    had_settings = flash(port, read_archive(archive), image)
    typer.echo(_("The device has its firmware and starts again."))
    typer.echo(_("It keeps the settings it had.") if had_settings else _("Now set it up: its own network, or enrol."))


def enrol_command(
    port: str = _PORT,
    settings: Path | None = typer.Argument(None, help=_("The commune's settings, laid over the device's own.")),
    ca: Path | None = typer.Option(None, help=_("The certificate authority that the device is to believe (ca.pem).")),
    name: str = typer.Option("", help=_("What people call the device; stands on its label.")),
    label: Path | None = typer.Option(None, help=_("Draw its label into this SVG file.")),
    pages: str = typer.Option("", help=_("Address of the commune's pages; the label's QR code then opens it.")),
) -> None:
    """Print what a commune is told to admit the device; its key and label are made at its first boot."""
    from commonwatt.device.flashing.port import enrol

    identity = enrol(port, settings, ca)
    typer.echo(identity.as_json())
    if label is not None:
        from commonwatt.device_label import label_svg

        label.write_text(label_svg(identity.device, identity.code, name, pages=pages), encoding="utf-8")


def monitor_command(port: str = _PORT) -> None:
    """Show what a device prints."""
    from commonwatt.device.flashing.port import monitor

    raise typer.Exit(monitor(port))
