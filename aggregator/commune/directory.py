"""A commune's directory: commune.toml, policy.toml, keys/, log/, ledger.db, aggregator.db, private.db."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from aggregator.private import store as private
from commonwatt import settings
from commonwatt.identity import SigningKey, load_key
from ledger import app as ledger
from ledger.app import COMMUNE_FILE

ROLES = ("steward", "townhall", "operator", "aggregator")
"""Roles of the constitution whose keys `init` makes; in a real commune each is then moved to its holder."""

LOG_KEY, ASSOCIATION_KEY = "log", "association"


class Commune(ledger.Commune):
    """commune.toml as the aggregator reads it."""

    title: str = Field(description="what people call the commune")
    aggregator_public_key: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="who signs receipts and registries; gateways are told this key"
    )

    @property
    def genesis(self) -> bytes:
        """What batches, receipts and registries are bound to."""
        return bytes.fromhex(self.genesis_sha256)


@dataclass(frozen=True, slots=True)
class CommuneDirectory:
    """Where everything of a commune lies."""

    root: Path

    @property
    def commune_toml(self) -> Path:
        """The commune's public facts."""
        return self.root / COMMUNE_FILE

    @property
    def policy_toml(self) -> Path:
        """The policy's text as the ledger has it, for people to read."""
        return self.root / "policy.toml"

    @property
    def private_db(self) -> Path:
        """Names, salts, places and consents: whoever reads it knows who is behind which id of the log."""
        return self.root / private.FILE

    def key_file(self, role: str) -> Path:
        """Where a role's key lies."""
        return self.root / "keys" / f"{role}.key"

    def load_key(self, role: str) -> SigningKey:
        """A role's key; UserError says what is wrong."""
        return load_key(self.key_file(role))

    def load(self) -> Commune:
        """Read commune.toml; UserError names the mistake."""
        return settings.load(Commune, self.commune_toml)
