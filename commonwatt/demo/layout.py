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
    def measured(self) -> Path:
        """Every register of the run, as registers.csv spells it."""
        return self.root / "registers.csv"

    @property
    def aggregator_status(self) -> Path:
        """The aggregator's state, rewritten once a second."""
        return self.root / "aggregator-status.json"

    @property
    def broker_account(self) -> Path:
        """The aggregator's account at the broker."""
        return self.root / "broker" / "aggregator.toml"

    @property
    def influx(self) -> Path:
        """How the aggregator reaches the dashboards' database, if there is one."""
        return self.root / "influx.toml"

    @property
    def prometheus(self) -> Path:
        """Where a Prometheus finds everybody."""
        return self.root / "prometheus.yml"

    @property
    def web_toml(self) -> Path:
        """How the commune's pages are served."""
        return self.root / "web.toml"

    @property
    def local_ca(self) -> Path:
        """A CA for phones, beside the demo: it outlives it."""
        return self.root.with_name(f"{self.root.name}-ca")

    @property
    def telemetry(self) -> Path:
        """The aggregator's points on their way to that database."""
        return self.root / "telemetry.db"

    def broker(self, name: str) -> Path:
        """A broker's generated configuration, passwords and store."""
        return self.root / name

    def gateway_toml(self, name: str) -> Path:
        """A gateway's settings; its key, spool and status lie beside them."""
        return self.root / "gateways" / name / "gateway.toml"

    def wallet(self, name: str) -> Path:
        """A member's key."""
        return self.root / "wallets" / f"{name}.key"

    def device(self, name: str) -> Path:
        """A device's folder: its configuration, key and journal."""
        return self.root / "devices" / name

    def registers(self, name: str) -> Path:
        """The registers that a device's meter replays."""
        return self.device(name) / "registers.csv"
