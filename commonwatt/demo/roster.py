"""The demo's roster: everybody who is admitted and where they live, as `commonwatt admit` reads it."""

from collections.abc import Mapping
from itertools import pairwise

from commonwatt.demo.layout import Layout
from commonwatt.demo.people import BAKER, Identifiers
from commonwatt.demo.registers.homes import Role, Village
from commonwatt.demo.registers.read import DeviceRegisters
from commonwatt.identity import load_key
from commonwatt.units import INTERVAL_S

TRANSFORMER, TRANSFORMER_W, FEEDER_A = "T1", 250_000, 200
CONTRACTED_VA = 18_000
CONSENT_UNTIL = "2025-12-31"
"""Everybody agrees to be counted in statistics, well beyond the week of the demo."""
LATITUDE, LONGITUDE = 47.0, 0.5
"""Somewhere in France: near the meridian by which the roofs' suns are read."""

_ROLES = {Role.MAIN: "main", Role.PRODUCTION: "production", Role.SUB_METER: "submeter"}


def roster(
    village: Village,
    ids: Identifiers,
    layout: Layout,
    keys: Mapping[str, str],
    ratings_w: Mapping[str, int] | None = None,
) -> str:
    """The text. `keys`: public keys of devices and gateways by name, in hex. `ratings_w`: what is believed of the
    rated power of some devices, whatever the village says."""
    believed_w = {name: device.rated_power_w for name, device in village.devices.items()} | dict(ratings_w or {})

    def person(table: str, name: str) -> str:
        wallet = load_key(layout.wallet(name)).public_key.hex()
        return f'[[{table}]]\nname = "{name}"\nid = "{ids.accounts[name].hex()}"\nwallet = "{wallet}"\n'

    parts = _places(village)
    parts += [f"{person('members', home)}consent_until = {CONSENT_UNTIL}\n" for home in village.homes]
    parts.append(person("merchants", BAKER))
    parts += [_site(village, home, ids.sites[home]) for home in village.homes]
    parts += [
        f'[[devices]]\nname = "{name}"\nid = "{ids.devices[name].hex()}"\nsite = "{device.home}"\n'
        f'public_key = "{keys[name]}"\nrole = "{_ROLES[device.role]}"\n'
        f"rated_power_w = {believed_w[name]}\n"
        f'grade = "{"gateway" if name in village.over_modbus else "device"}"\n'
        for name, device in village.devices.items()
    ]
    parts += [
        f'[[gateways]]\nname = "{name}"\nid = "{ids.gateways[name].hex()}"\npublic_key = "{keys[name]}"\n'
        for name in village.gateways
    ]
    return "\n".join(parts)


def outgrown_w(device: DeviceRegisters, starts_s: int, ends_s: int) -> int:
    """The rated power of an inverter that was replaced and nobody told: the best quarter of an hour between two times
    exceeds it by a fiftieth, so that there is something for a steward to review."""
    registers_wh = [registers[0] for time_s, registers in device.rows if starts_s <= time_s <= ends_s]
    best_wh = max(after - before for before, after in pairwise(registers_wh))
    return best_wh * 3600 // INTERVAL_S * 49 // 50


def _places(village: Village) -> list[str]:
    quarters = dict.fromkeys(feeder.quarter for feeder in village.feeders)
    return [
        f'[[transformers]]\nname = "{TRANSFORMER}"\nrating_w = {TRANSFORMER_W}\n',
        *(
            f'[[feeders]]\nname = "{feeder.name}"\ntransformer = "{TRANSFORMER}"\nrating_a = {FEEDER_A}\n'
            for feeder in village.feeders
        ),
        *(f'[[quarters]]\nname = "{name}"\n' for name in quarters),
    ]


def _site(village: Village, home: str, identifier: bytes) -> str:
    (feeder,) = (feeder for feeder in village.feeders if home in feeder.homes)
    peaks_w = [
        device.rated_power_w
        for device in village.devices.values()
        if (device.home, device.role) == (home, Role.PRODUCTION)
    ]
    sun = f"installed_wp = {sum(peaks_w)}\nlatitude = {LATITUDE}\nlongitude = {LONGITUDE}\n" if peaks_w else ""
    return (
        f'[[sites]]\nname = "{home}"\nid = "{identifier.hex()}"\nmember = "{home}"\n'
        f'quarter = "{feeder.quarter}"\nfeeder = "{feeder.name}"\ncontracted_power_va = {CONTRACTED_VA}\n{sun}'
    )
