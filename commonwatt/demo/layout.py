"""Where everything of a demo lies below its directory."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below `root` (var/demo)."""

    root: Path

    @property
    def log(self) -> Path:
        """The published log."""
        return self.root / "log"

    @property
    def vkey(self) -> Path:
        """The log's verifier key."""
        return self.root / "log.vkey"

    @property
    def logs(self) -> Path:
        """What the processes say."""
        return self.root / "logs"

    @property
    def broker(self) -> Path:
        """The broker's generated configuration, passwords and store."""
        return self.root / "broker"

    @property
    def gateway_toml(self) -> Path:
        """The gateway's settings."""
        return self.root / "gateway" / "gateway.toml"

    @property
    def gateway_status(self) -> Path:
        """The gateway's state, rewritten once a second."""
        return self.root / "gateway" / "status.json"

    @property
    def aggregator_status(self) -> Path:
        """The aggregator's state, rewritten once a second."""
        return self.root / "aggregator-status.json"

    @property
    def broker_account(self) -> Path:
        """The aggregator's account at the broker."""
        return self.root / "broker" / "aggregator.toml"

    def wallet(self, name: str) -> Path:
        """A member's key."""
        return self.root / "wallets" / f"{name}.key"

    def device(self, name: str) -> Path:
        """A device's folder: its configuration, key and journal."""
        return self.root / "devices" / name

    def registers(self, name: str) -> Path:
        """The registers that a device's meter replays."""
        return self.device(name) / "registers.csv"
