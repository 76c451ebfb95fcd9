"""Found the demo's commune with the commands that anyone would use, and write every process its settings."""

import json
import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commonwatt.clock import CivilClock
from commonwatt.demo.layout import Layout
from commonwatt.demo.people import BAKER, GATEWAY, HOMES, SOLAR_HOME, SOLAR_METER, Identifiers, readers
from commonwatt.demo.plan import ROOT, Plan
from commonwatt.demo.programs import BIN, free_port, run
from commonwatt.demo.registers.homes import DEVICES, Role
from commonwatt.demo.registers.read import HEADER, DeviceRegisters, read_registers
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, load_key, save_key
from commonwatt.mqtt import BrokerAccount

COMMUNE = "demo"
ORIGIN = "demo.commonwatt.example/log"
POLICY = ROOT / "aggregator" / "policies" / "demo.toml"
ROLE_NAMES = {Role.MAIN: "main", Role.PRODUCTION: "production", Role.SUB_METER: "submeter"}
COMMONWATT = str(BIN / "commonwatt")
MICROPYTHON = str(BIN / "micropython")
FIRMWARE = str(ROOT / "firmware" / "main.py")


@dataclass(frozen=True, slots=True)
class Commune:
    """A founded demo: where it lies, who is who, and how to reach its broker."""

    layout: Layout
    ids: Identifiers
    broker_url: str
    passwords: dict[str, str]
    modbus_port: int

    @property
    def public(self) -> dict[str, Any]:
        """commune.toml: the public facts that `commonwatt init` wrote."""
        return tomllib.loads((self.layout.root / "commune.toml").read_text())


def found(plan: Plan) -> Commune:
    """Make the commune anew below `plan.directory` and admit everybody."""
    layout = _clear(plan.directory)
    ids = Identifiers.fresh()
    for name in (*HOMES, BAKER):
        save_key(layout.wallet(name), SigningKey.generate())
    clock = plan.founding_clock()
    _commonwatt(
        layout,
        *("init", layout.root, "--name", COMMUNE, "--origin", ORIGIN),
        *("--policy", POLICY, "--trial", "--clock", clock),
    )
    broker_url, passwords = _configure_broker(plan, layout, ids)
    commune = Commune(layout, ids, broker_url, passwords, free_port())
    keys = _make_devices(plan, commune) | _make_gateway(commune)
    roster = layout.root / "roster.toml"
    roster.write_text(_roster(ids, layout, keys))
    _commonwatt(layout, "admit", layout.root, roster, "--clock", clock)
    _leave_names(plan, commune)
    return commune


def _commonwatt(layout: Layout, *words: object) -> str:
    return run([COMMONWATT, *map(str, words)], log_file=layout.logs / "founding.log")


def _clear(directory: Path) -> Layout:
    """An empty directory; an earlier demo is removed, anything else is left alone."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / "founding").exists():
            raise UserError(_("this is not an earlier demo"), where=directory, to_do=_("name an empty directory"))
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "founding").write_text("made by commonwatt demo; the next demo removes this directory\n")
    return Layout(directory)


def broker_address(url: str) -> tuple[str, int]:
    """Host and port of a broker; UserError if the URL names none."""
    return BrokerAccount(url=url, username="", password="").host_port()


def _configure_broker(plan: Plan, layout: Layout, ids: Identifiers) -> tuple[str, dict[str, str]]:
    """Accounts and topic rights of every device; the address of the broker that will have them."""
    host, port = broker_address(plan.broker_url) if plan.broker_url else ("127.0.0.1", free_port())
    accounts = layout.broker / "accounts.toml"
    accounts.parent.mkdir(parents=True)
    devices = [ids.devices[name].hex() for name in readers()]
    accounts.write_text(
        f'commune = "{COMMUNE}"\naggregator = true\ngateways = ["{ids.gateway.hex()}"]\ndevices = {devices}\n'
    )
    place = ("--host", host, "--port", port, "--plaintext")
    _commonwatt(layout, "gateway", "broker-config", accounts, layout.broker, *place)
    passwords = tomllib.loads((layout.broker / "passwords.toml").read_text())
    url = f"mqtt://{host}:{port}"
    layout.broker_account.write_text(
        f'url = "{url}"\nusername = "aggregator"\npassword = "{passwords["aggregator"]}"\nplaintext = true\n'
    )
    return url, passwords


def _make_devices(plan: Plan, commune: Commune) -> dict[str, str]:
    """Folders of all devices; boots each reader once, so that it makes its key. Public keys by name."""
    registers = read_registers()
    for name, device in registers.items():
        path = commune.layout.registers(name)
        path.parent.mkdir(parents=True)
        path.write_text(_modbus_rows(device, plan) if name == SOLAR_METER else _replay_rows(device, plan))
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda name: _first_boot(commune, name), readers())
        return dict(zip(readers(), answers, strict=True))


def _first_boot(commune: Commune, name: str) -> str:
    config = device_config(commune, name)
    config.write_text(json.dumps(_device_settings(commune, name, clock=None)))
    printed = run([MICROPYTHON, FIRMWARE, str(config), "--identity"], log_file=commune.layout.logs / "founding.log")
    return str(json.loads(printed)["public_key"])


def device_config(commune: Commune, name: str) -> Path:
    """A reader's configuration."""
    return commune.layout.device(name) / "device.json"


def set_device_clock(commune: Commune, name: str, clock: CivilClock) -> None:
    """Hand the running clock to a reader; a restarted one finds it again."""
    device_config(commune, name).write_text(json.dumps(_device_settings(commune, name, clock)))


def _device_settings(commune: Commune, name: str, clock: CivilClock | None) -> dict[str, Any]:
    user = commune.ids.devices[name].hex()
    host, port = broker_address(commune.broker_url)
    settings: dict[str, Any] = {
        "device": user,
        "broker": {"host": host, "port": port, "username": user, "password": commune.passwords[user]},
        "state_dir": str(commune.layout.device(name)),
        "step_s": 900,
        "block_readings": 4,
        "late_s_max": 900,  # a civil second is less than a millisecond here; a real reader keeps to a few seconds
        "meter": {"type": "replay", "file": str(commune.layout.registers(name))},
        "retry_ms_max": 1000,
    }
    if clock is not None:
        settings["clock"] = {
            "wall_anchor_s": clock.wall_anchor_s,
            "civil_anchor_s": clock.civil_anchor_s,
            "factor": clock.factor,
        }
    return settings


def _replay_rows(device: DeviceRegisters, plan: Plan) -> str:
    """What the firmware's replay meter reads: quantities, then time and registers, up to the end of the run."""
    head = "quantities," + ",".join(map(str, device.quantities))
    rows = [f"{time_s},{','.join(map(str, registers))}" for time_s, registers in device.rows if time_s <= plan.ends_s]
    return "\n".join((head, *rows, ""))


def _modbus_rows(device: DeviceRegisters, plan: Plan) -> str:
    """The same span as registers.csv spells it, for the solar meter."""
    rows = [
        f"{device.name},{quantity},{time_s},{register_wh}"
        for time_s, registers in device.rows
        for quantity, register_wh in zip(device.quantities, registers, strict=True)
        if time_s <= plan.ends_s
    ]
    return "\n".join((",".join(HEADER), *rows, ""))


def _make_gateway(commune: Commune) -> dict[str, str]:
    """The gateway's settings; it makes its own key and its meter's. Public keys by name."""
    layout, user = commune.layout, commune.ids.gateway.hex()
    account = (
        f'url = "{commune.broker_url}"\nusername = "{user}"\npassword = "{commune.passwords[user]}"\n'
        "plaintext = true\n"  # the demo lives on one machine, or beside a broker that somebody answers for
    )
    layout.gateway_toml.parent.mkdir(parents=True)
    layout.gateway_toml.write_text(
        f'id = "{user}"\ncommune = "{COMMUNE}"\n'
        f'genesis_sha256 = "{commune.public["genesis_sha256"]}"\n'
        f'aggregator_public_key = "{commune.public["aggregator_public_key"]}"\n'
        f'key_file = "{layout.gateway_toml.parent / "gateway.key"}"\n'
        f'spool_file = "{layout.gateway_toml.parent / "spool.db"}"\n'
        f'status_file = "{layout.gateway_status}"\n'
        "batch_age_s = 0.3\nresend_s = 2.0\nreconnect_s_max = 1\nmeter_backoff_s_max = 2.0\n"
        f"\n[local]\n{account}\n[upstream]\n{account}"
        f'\n[[meters]]\nname = "{SOLAR_METER}"\ndevice = "{commune.ids.devices[SOLAR_METER].hex()}"\n'
        f'key_file = "{layout.device(SOLAR_METER) / "meter.key"}"\n'
        f'type = "schneider-iem3155"\nhost = "127.0.0.1"\nport = {commune.modbus_port}\nunit = 1\n'
    )
    printed = _commonwatt(layout, "gateway", "identity", layout.gateway_toml)
    identity = json.loads(printed)
    return {
        GATEWAY: identity["gateway"]["public_key"],
        **{meter["name"]: meter["public_key"] for meter in identity["meters"]},
    }


def _roster(ids: Identifiers, layout: Layout, keys: dict[str, str]) -> str:
    """Everybody who is admitted, as `commonwatt admit` reads it."""

    def person(table: str, name: str) -> str:
        wallet = load_key(layout.wallet(name)).public_key.hex()
        return f'[[{table}]]\nname = "{name}"\nid = "{ids.accounts[name].hex()}"\nwallet = "{wallet}"\n'

    parts = [person("members", home) for home in HOMES]
    parts.append(person("merchants", BAKER))
    parts += [f'[[sites]]\nname = "{home}"\nid = "{ids.sites[home].hex()}"\nmember = "{home}"\n' for home in HOMES]
    parts += [
        f'[[devices]]\nname = "{name}"\nid = "{ids.devices[name].hex()}"\nsite = "{device.home}"\n'
        f'public_key = "{keys[name]}"\nrole = "{ROLE_NAMES[device.role]}"\n'
        f'rated_power_w = {device.rated_power_w}\ngrade = "{"gateway" if name == SOLAR_METER else "device"}"\n'
        for name, device in DEVICES.items()
    ]
    parts.append(f'[[gateways]]\nname = "{GATEWAY}"\nid = "{ids.gateway.hex()}"\npublic_key = "{keys[GATEWAY]}"\n')
    return "\n".join(parts)


def _leave_names(plan: Plan, commune: Commune) -> None:
    """demo.json: what the judge needs to match registers.csv with the log."""
    ids = commune.ids
    content = {
        "starts_s": plan.starts_s,
        "ends_s": plan.ends_s,
        "devices": {name: identifier.hex() for name, identifier in ids.devices.items()},
        "accounts": {name: identifier.hex() for name, identifier in ids.accounts.items()}
        | {"association": commune.public["association"]},
        "solar_home": SOLAR_HOME,
        "baker": BAKER,
    }
    (commune.layout.root / "demo.json").write_text(json.dumps(content, indent=1))
