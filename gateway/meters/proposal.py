"""What a scan adds to gateway.toml: text at its end, and nothing that stands there is touched."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from commonwatt import files
from commonwatt.errors import UserError
from commonwatt.i18n import _
from gateway.meters.scanning import Found
from gateway.settings import BusSettings, GatewaySettings

HEAD = """\
# Found by `commonwatt gateway scan`. The keys that stand above a gateway's buses are still missing:
# id, commune, genesis_sha256, aggregator_public_key, key_file, spool_file, status_file and [local];
# docs/operating/settings.md tells each of them, the association that runs the aggregator has the values.
"""
FILE_MODE = 0o600
"""A gateway's settings hold a password."""


def addition(known: dict[str, Any], bus: BusSettings, found: Sequence[Found], new_id: Callable[[], bytes]) -> str:
    """The lines to append for what was found and is not in `known` yet, the file as a table; "" if there are none."""
    present = _bus_in(known, bus)
    neighbours = [own for own in known.get("meters", []) if _is_on(own, present, bus)]
    news = [one for one in found if one.unit not in {own.get("unit", 1) for own in neighbours}]
    name = present or _free(bus.name, [own.get("name") for own in known.get("bus", [])])
    has_host = any("host" in own for own in neighbours)  # then a bus with this address would be there twice
    where = (
        [f"host = {_quoted(bus.host or '')}", f"port = {bus.tcp_port}"] if has_host else [f"bus = {_quoted(name)}"]
    )
    is_new_bus = not present and not has_host and any(one.type for one in news)
    parts = [_bus_text(bus, name)] if is_new_bus else []
    names = [own.get("name") for own in known.get("meters", [])]
    for one in news:
        if not one.type:
            parts.append(_comment(f"unit {one.unit}: {one.why}") + "\n")
            continue
        meter_name = _free(f"{one.type} {one.unit}", names)
        names.append(meter_name)
        parts.append(_meter_text(one, where, meter_name, new_id().hex()))
    return "\n".join(parts)


def read_known(path: Path) -> dict[str, Any]:
    """The file as a table, {} if there is none; UserError if it cannot be read."""
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(str(error), where=path, to_do=_("mend it first: nothing was written")) from error


def append(path: Path, text: str) -> None:
    """Put the text at the end of the file, all or nothing; UserError if the gateway could not read it then."""
    before = path.read_text(encoding="utf-8") if path.exists() else HEAD
    after = before + ("" if before.endswith("\n") else "\n") + "\n" + text
    _prove(path, before, after)
    try:
        files.replace(path, after.encode(), mode=path.stat().st_mode & 0o777 if path.exists() else FILE_MODE)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=path) from error


def _prove(path: Path, before: str, after: str) -> None:
    """A file that was good stays good. One that was not yet complete is only held to its form."""
    try:
        GatewaySettings.model_validate(tomllib.loads(before))
    except ValueError:
        tomllib.loads(after)
        return
    try:
        GatewaySettings.model_validate(tomllib.loads(after))
    except ValueError as error:
        what = _("what was found does not go with what stands there: {error}").format(error=error)
        raise UserError(what, where=path, to_do=_("nothing was written")) from error


def _bus_in(known: dict[str, Any], bus: BusSettings) -> str | None:
    """The name under which the file has this bus already."""
    for own in known.get("bus", []):
        place = own.get("serial") or f"{own.get('host')}:{own.get('port', 502)}"
        if place == bus.place:
            return str(own.get("name"))
    return None


def _is_on(own: dict[str, Any], bus_name: str | None, bus: BusSettings) -> bool:
    by_name = bus_name is not None and own.get("bus") == bus_name
    return by_name or f"{own.get('host')}:{own.get('port', 502)}" == bus.place


def _free(wanted: str, taken: Sequence[str | None]) -> str:
    """The name, with a number behind it if somebody has it."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} ({number})", number + 1
    return name


def _bus_text(bus: BusSettings, name: str) -> str:
    lines = ["[[bus]]", f"name = {_quoted(name)}", f'kind = "{bus.kind}"']
    if bus.serial is not None:
        lines.append(f"serial = {_quoted(bus.serial)}")
        if bus.kind == "tic":
            lines.append(f'mode = "{bus.mode}"')
        else:
            lines += [f"baud = {bus.line_baud}", f'parity = "{bus.line_parity}"', f"stop_bits = {bus.stop_bits}"]
    else:
        lines += [f"host = {_quoted(bus.host or '')}", f"port = {bus.tcp_port}"]
    return "\n".join((*lines, ""))


def _meter_text(one: Found, where: list[str], name: str, device: str) -> str:
    slug = "".join(letter if letter.isalnum() else "-" for letter in name.casefold()).strip("-")
    alike = [f"# as likely: {', '.join(one.alike)}"] if one.alike else []
    model = [f"model = {one.model}"] if one.model is not None else []
    keys = [
        f"name = {_quoted(name)}", f'device = "{device}"', f'key_file = "keys/{slug}.key"', f'type = "{one.type}"',
        *where, f"unit = {one.unit}",
    ]  # fmt: skip
    return "\n".join(("[[meters]]", _comment(one.why), *alike, *keys, *model, ""))


def _comment(text: str) -> str:
    """What a device calls itself may hold anything: only what can be printed stands in a file."""
    return "# " + "".join(letter if letter.isprintable() else "?" for letter in text)


def _quoted(text: str) -> str:
    """A basic TOML string."""
    escaped = "".join(
        f"\\u{ord(letter):04x}" if ord(letter) < 0x20 or letter in '"\\' or ord(letter) == 0x7F else letter
        for letter in text
    )
    return f'"{escaped}"'
