"""`commonwatt device calibrate`: a function to hang into the command's group."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import typer

from commonwatt.errors import UserError
from commonwatt.i18n import _


def calibrate_command(
    snapshots: Path = typer.Argument(
        help=_("States of the device or its meter, one JSON object a line, oldest first.")
    ),
    power_w: str = typer.Option(help=_("Mean power of the load by the reference meter, in watts.")),
    voltage_v: str = typer.Option("", help=_("Mean voltage by the reference meter.")),
    current_a: str = typer.Option(
        "", help=_("Mean current; default: power over voltage, which is right for a heater.")
    ),
    config: Path | None = typer.Option(None, help=_("Write the gains into this device.json.")),
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
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            state = json.loads(line)
        except ValueError as error:
            raise UserError(f"line {number} is not JSON", where=path) from error
        state = state if isinstance(state, dict) else {}
        found.append(state.get("meter", state))
    return found


def _write(path: Path, gains: dict[str, list[int]]) -> None:
    """Replace the file in one step, so that a device never gets half of it."""
    settings = json.loads(path.read_text())
    settings["meter"]["gains"] = gains
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(settings, indent=2) + "\n")
    beside.replace(path)
