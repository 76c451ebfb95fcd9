"""The demo's brokers: one for everything in a street; in a village one for the town, and one in every cupboard."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from commonwatt.demo.layout import Layout
from commonwatt.demo.people import Identifiers
from commonwatt.demo.plan import Plan
from commonwatt.demo.programs import BIN, free_port
from commonwatt.mqtt import BrokerAccount

TOWN = "broker"
"""The program's name of the broker that the aggregator is at."""
AGGREGATOR = "aggregator"


@dataclass(frozen=True, slots=True, eq=False)
class Broker:
    """A configured broker. `name`: its program's; `is_ours`: whether the demo starts it."""

    name: str
    url: str
    directory: Path
    passwords: Mapping[str, str]
    is_ours: bool

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; UserError if the URL names none."""
        return broker_address(self.url)

    @property
    def argv(self) -> tuple[str, ...]:
        """How it is started."""
        return str(BIN / "nats-server"), "-c", str(self.directory / "nats.conf")

    def account(self, username: str) -> BrokerAccount:
        """How one of its accounts connects."""
        # Plaintext: the demo lives on one machine, or beside a broker that somebody answers for.
        return BrokerAccount(url=self.url, username=username, password=self.passwords[username], plaintext=True)

    def account_toml(self, username: str) -> str:
        """The same as the settings of a gateway or an aggregator spell it."""
        return (
            f'url = "{self.url}"\nusername = "{username}"\npassword = "{self.passwords[username]}"\n'
            "plaintext = true\n"
        )


@dataclass(frozen=True, slots=True)
class Brokers:
    """`town`: where batches and receipts pass; `of_gateway`: where a gateway's devices are, by its name."""

    town: Broker
    of_gateway: Mapping[str, Broker]

    @property
    def all(self) -> tuple[Broker, ...]:
        """Every broker once, the town's first."""
        return tuple(dict.fromkeys((self.town, *self.of_gateway.values())))


Command = Callable[..., object]
"""Runs a `commonwatt` command with the words it is given."""


def configure(plan: Plan, layout: Layout, ids: Identifiers, commune: str, commonwatt: Command) -> Brokers:
    """Accounts and topic rights for everybody. A gateway answers every device that its broker knows, so where there
    is more than one gateway, each has a broker for its own."""
    village = plan.village
    gateways = [ids.gateways[name] for name in village.gateways]

    def make(name: str, *, at: str | None, gateways: Sequence[bytes], devices: Sequence[bytes]) -> Broker:
        host, port = broker_address(at) if at else ("127.0.0.1", free_port())
        directory = layout.broker(name)
        directory.mkdir(parents=True)
        accounts = directory / "accounts.toml"
        accounts.write_text(
            f'commune = "{commune}"\naggregator = {str(name == TOWN).lower()}\n'
            f"gateways = {_hex(gateways)}\ndevices = {_hex(devices)}\n"
        )
        place = ("--host", host, "--port", port, "--plaintext")
        commonwatt("gateway", "broker-config", accounts, directory, *place)
        passwords = tomllib.loads((directory / "passwords.toml").read_text())
        return Broker(name, f"mqtt://{host}:{port}", directory, passwords, is_ours=at is None)

    def devices_of(gateway: str) -> list[bytes]:
        return [ids.devices[name] for name in village.of_gateway(gateway) if name in village.readers]

    if len(gateways) == 1:
        (gateway,) = village.gateways
        town = make(TOWN, at=plan.broker_url, gateways=gateways, devices=devices_of(gateway))
        return Brokers(town, {gateway: town})
    town = make(TOWN, at=plan.broker_url, gateways=gateways, devices=())
    cupboards = {
        name: make(f"{name}-broker", at=None, gateways=[ids.gateways[name]], devices=devices_of(name))
        for name in village.gateways
    }
    return Brokers(town, cupboards)


def broker_address(url: str) -> tuple[str, int]:
    """Host and port of a broker; UserError if the URL names none."""
    return BrokerAccount(url=url, username="", password="").host_port()


def _hex(identifiers: Sequence[bytes]) -> list[str]:
    return [identifier.hex() for identifier in identifiers]
