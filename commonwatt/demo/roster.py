"""The demo's roster: everybody who is admitted and where they live, as `commonwatt admit` reads it."""

from collections.abc import Mapping

from commonwatt.demo.layout import Layout
from commonwatt.demo.people import BAKER, Identifiers
from commonwatt.demo.registers.homes import Role, Village
from commonwatt.identity import load_key

TRANSFORMER, TRANSFORMER_W, FEEDER_A = "T1", 250_000, 200
CONTRACTED_VA = 18_000
CONSENT_UNTIL = "2025-12-31"
"""Everybody agrees to be counted in statistics, well beyond the week of the demo."""
LATITUDE, LONGITUDE = 47.0, 0.5
"""Somewhere in France: near the meridian by which the roofs' suns are read."""

_ROLES = {Role.MAIN: "main", Role.PRODUCTION: "production", Role.SUB_METER: "submeter"}


def roster(village: Village, ids: Identifiers, layout: Layout, keys: Mapping[str, str]) -> str:
    """The text. `keys`: public keys of devices and gateways by name, in hex."""

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
        f"rated_power_w = {device.rated_power_w}\n"
        f'grade = "{"gateway" if name in village.over_modbus else "device"}"\n'
        for name, device in village.devices.items()
    ]
    parts += [
        f'[[gateways]]\nname = "{name}"\nid = "{ids.gateways[name].hex()}"\npublic_key = "{keys[name]}"\n'
        for name in village.gateways
    ]
    return "\n".join(parts)


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
