"""Which buses a scan tries: one place, at each speed and parity that it may have, until somebody answers."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, get_args

from commonwatt.errors import UserError
from commonwatt.i18n import _
from gateway.meters import tables
from gateway.meters.scanning import Found, Tell, scan
from gateway.meters.silence import MeterSilentError, meaning_of
from gateway.meters.tables import MeterTable
from gateway.settings import MBUS_UNIT_MAX, BusSettings, Parity

BAUDS = {"modbus-rtu": "9600,19200,2400,38400,4800,115200", "mbus-serial": "2400,300,9600"}
PARITIES = {"modbus-rtu": "none,even", "mbus-serial": "even"}
UNITS_TCP = "1-10,126,127,247,255"
"""A meter in the network mostly answers under 1, an inverter under 1, 3, 126 or 127; others are to be named."""
MOST = 255
"""A range names no more than all addresses there are."""
MODES = ("historique", "standard")
"""Every Linky begins in historique."""


def candidates(places: dict[str, str], *, bauds: str, parities: str, timeout_s: float) -> list[BusSettings]:
    """The buses to try, in order; UserError unless exactly one place is named."""
    named = [(kind, place) for kind, place in places.items() if place]
    if len(named) != 1:
        raise UserError(_("name one bus: --tcp, --rtu-over-tcp, --serial, --mbus, --mbus-over-tcp or --tic"))
    kind, place = named[0]
    common: dict[str, Any] = {"kind": kind, "timeout_s": timeout_s}
    if kind in ("modbus-tcp", "modbus-rtu-over-tcp", "mbus-over-tcp"):
        host, port = _host_port(place, is_port_needed=kind != "modbus-tcp")
        return [_bus({**common, "name": host, "host": host, "port": port})]
    common |= {"name": Path(place).name, "serial": place}
    if kind == "tic":
        return [_bus({**common, "mode": mode}) for mode in MODES]
    speeds = _split(bauds or BAUDS[kind], "--baud")
    return [
        _bus({**common, "baud": speed, "parity": parity})
        for parity, speed in product((parities or PARITIES[kind]).split(","), speeds)
    ]


def parse_units(text: str, bus: BusSettings) -> list[int]:
    """The addresses that "1-3,7" names, or all that a bus of this kind has; UserError if it names none."""
    is_mbus = bus.kind.startswith("mbus")
    last = MBUS_UNIT_MAX if is_mbus else 255 if bus.kind == "modbus-tcp" else 247
    if not text:
        text = UNITS_TCP if bus.kind == "modbus-tcp" else f"1-{last}"
    units = _split(text, "--units")
    if not units or max(units) > last:
        raise UserError(f"--units: {text!r}", to_do=_("write addresses up to {last}").format(last=last))
    return units


def library(known: dict[str, Any]) -> list[MeterTable]:
    """The tables to try; those of the settings' `meters_dir` count as well."""
    own = known.get("meters_dir")
    return tables.all_tables((Path(own),) if isinstance(own, str) else ())


async def search(
    buses: Sequence[BusSettings], units: Sequence[int], types: Sequence[MeterTable], tell: Tell
) -> tuple[BusSettings, list[Found]]:
    """The first bus on which a meter was known, and what is on it; else one that made a sound, else the last."""
    noises: list[tuple[BusSettings, list[Found]]] = []
    for bus in buses:
        how = f", {bus.line_baud} baud, parity {bus.line_parity}" if bus.serial else ""
        tell(_("looking at {place}{how} …").format(place=bus.place, how=how))
        try:
            found = await scan(bus, units, types, tell=tell)
        except MeterSilentError as silence:
            raise UserError(meaning_of(silence.reason), where=bus.place) from silence
        if any(one.type for one in found):
            return bus, found
        if found:
            noises.append((bus, found))
    return noises[0] if noises else (buses[-1], [])


def _bus(keys: dict[str, Any]) -> BusSettings:
    try:
        return BusSettings.model_validate(keys)
    except ValueError as error:
        speeds, parities = "300 … 921600", ", ".join(get_args(Parity))
        to_do = _("--baud is {speeds}, --parity is {parities}").format(speeds=speeds, parities=parities)
        raise UserError(
            _("there is no such bus"), where=keys.get("serial") or keys.get("host"), to_do=to_do
        ) from error


def _host_port(place: str, *, is_port_needed: bool) -> tuple[str, int]:
    host, colon, port = place.rpartition(":") if ":" in place else (place, "", "")
    if not host or (colon and not port.isdecimal()) or (is_port_needed and not colon):
        raise UserError(f"not an address: {place!r}", to_do=_("write HOST:PORT"))
    return host, int(port) if port else 502


def _split(text: str, option: str) -> list[int]:
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(f"{option}: {text!r}", to_do=_("write numbers, as 1-3,7"))
        start, end = int(first), int(last or first)
        if not start <= end <= start + MOST:
            raise UserError(f"{option}: {text!r}", to_do=_("write numbers, as 1-3,7"))
        numbers += range(start, end + 1)
    return numbers
