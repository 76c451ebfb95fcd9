"""`commonwatt device states | calibrate`: functions to hang into the command's group."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import typer

from commonwatt import files
from commonwatt.errors import UserError
from commonwatt.i18n import _


def states_command(
    device: str = typer.Argument(help=_("The device's id: 32 hexadecimal digits.")),
    broker_account: Path = typer.Option(help=_("TOML file with url, username, password and perhaps ca_file.")),
    count: int = typer.Option(30, help=_("How many states; a device tells one a minute.")),
) -> None:
    """Print what a device says of its meter, one JSON object a line: what calibrate reads."""
    from commonwatt.device.signing.sending import read_account
    from commonwatt.device.watching import collect

    if len(device) != 32 or not set(device.lower()) <= set("0123456789abcdef"):
        raise UserError(_("{device!r} is no device id").format(device=device), to_do=_("32 hexadecimal digits"))
    collect(
        read_account(broker_account),
        bytes.fromhex(device),
        count,
        lambda state: typer.echo(json.dumps(state["meter"])),
    )


def calibrate_command(
    snapshots: Path = typer.Argument(
        help=_("States of the device or its meter, one JSON object a line, oldest first.")
    ),
    power_w: str = typer.Option(help=_("Mean power of the load by the reference meter, in watts.")),
    voltage_v: str = typer.Option("", help=_("Mean voltage by the reference meter.")),
    current_a: str = typer.Option(
        "", help=_("Mean current; default: power over voltage, which is right for a heater.")
    ),
    config: Path | None = typer.Option(
        None, help=_("Put the gains into this file, which enrol lays over the device's settings.")
    ),
) -> None:
    """Exit code 1 and a reason if the load does not make a calibration; the configuration is then left as it was."""
    from commonwatt.device.calibration import KnownLoad, Refusal, calibrate

    load = KnownLoad(
        _number(power_w), _number(voltage_v) if voltage_v else None, _number(current_a) if current_a else None
    )
    outcome = calibrate(_read(snapshots), load)
    if isinstance(outcome, Refusal):
        typer.echo(_("Not calibrated: {reason}").format(reason=outcome.value), err=True)
        raise typer.Exit(1)
    gains = {name: [gain.numerator, gain.denominator] for name, gain in outcome.items()}
    typer.echo(json.dumps({"gains": gains}))
    if config is not None:
        _write(config, gains)


def _number(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"{text!r} is not a number") from error


def _read(path: Path) -> list[dict[str, Any]]:
    """The states in a file; lines that begin no object are what a console prints beside them."""
    found = []
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", where=path) from error
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("{"):
            continue
        try:
            state = json.loads(line)
        except ValueError as error:
            raise UserError(f"line {number} is not JSON", where=path) from error
        found.append(state.get("meter", state))
    return found


def _write(path: Path, gains: dict[str, list[int]]) -> None:
    """Replace the file in one step, so that a device never gets half of it."""
    try:
        settings = json.loads(path.read_text()) if path.exists() else {}
        settings.setdefault("meter", {})["gains"] = gains
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError("this is no device.json", where=path) from error
    files.replace(path, (json.dumps(settings, indent=2) + "\n").encode())
