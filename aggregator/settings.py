"""The settings of one aggregator: DIR/aggregator.toml, which need not be there, and the broker's account file."""

from pathlib import Path

from pydantic import Field

from aggregator.receive.gate import Limits
from commonwatt import settings
from commonwatt.mqtt import BrokerAccount

FILE = "aggregator.toml"
DATABASE = "aggregator.db"


class AggregatorSettings(settings.Settings):
    """What may differ from one commune to the next; every aggregator of a commune reads the same."""

    database: str = Field(
        default="",
        description="sqlite:///PATH or postgresql://USER@HOST/DATABASE; several aggregators need PostgreSQL; "
        "none: aggregator.db",
    )
    limits: Limits = Field(default=Limits(), description="what one gateway may bring; it waits beyond that")


class BrokerSettings(settings.Settings):
    """Where the broker is and who we are there."""

    url: str
    """mqtt://host:port or mqtts://host:port."""
    username: str
    """The broker lets this account read batches and write receipts and registries."""
    password: str
    """Made by `commonwatt gateway broker-config`; the file is readable by us only."""
    jetstream: str | None = None
    """nats://host:port or tls://host:port: pull batches from JetStream there; none: take them over MQTT."""
    ca_file: Path | None = None
    """Who signed the broker's certificate; none: whom the system trusts. Paths start at the file's own directory."""
    cert_file: Path | None = None
    """Our certificate: a broker that no device reaches asks for it."""
    key_file: Path | None = None
    """Its private key."""
    plaintext: bool = False
    """Speak mqtt:// or nats:// to another machine: everybody on that line can then read the password."""


def load(directory: Path) -> AggregatorSettings:
    """Read DIR/aggregator.toml; UserError names the mistake."""
    path = directory / FILE
    return settings.load(AggregatorSettings, path) if path.exists() else AggregatorSettings()


def database_url(directory: Path, told: str = "") -> str:
    """Where the database of a commune's directory lies: as `told`, as DIR/aggregator.toml says, or DIR/aggregator.db.
    UserError names a mistake in the settings."""
    return told or load(directory).database or f"sqlite:///{directory / DATABASE}"


def read_account(path: Path) -> tuple[BrokerAccount, str | None]:
    """The broker's account and where JetStream is, if batches come from there; UserError names the mistake."""
    read = settings.load(BrokerSettings, path)
    base = path.resolve().parent
    words = dict(read)
    jetstream = words.pop("jetstream")
    files = {name: words[name] for name in ("ca_file", "cert_file", "key_file")}
    return BrokerAccount(**words | {name: base / file for name, file in files.items() if file}), jetstream
