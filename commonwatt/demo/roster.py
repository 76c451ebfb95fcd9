"""The demo's roster: everybody who is admitted, as `commonwatt admit` reads it."""

from collections.abc import Mapping

from commonwatt.demo.layout import Layout
from commonwatt.demo.people import BAKER, Identifiers
from commonwatt.demo.registers.homes import Role, Village
from commonwatt.identity import load_key

_ROLES = {Role.MAIN: "main", Role.PRODUCTION: "production", Role.SUB_METER: "submeter"}


def roster(village: Village, ids: Identifiers, layout: Layout, keys: Mapping[str, str]) -> str:
    """The text. `keys`: public keys of devices and gateways by name, in hex."""

    def person(table: str, name: str) -> str:
        wallet = load_key(layout.wallet(name)).public_key.hex()
        return f'[[{table}]]\nname = "{name}"\nid = "{ids.accounts[name].hex()}"\nwallet = "{wallet}"\n'

    parts = [person("members", home) for home in village.homes]
    parts.append(person("merchants", BAKER))
    parts += [
        f'[[sites]]\nname = "{home}"\nid = "{ids.sites[home].hex()}"\nmember = "{home}"\n' for home in village.homes
    ]
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
