"""What never changes while a commune is open."""

from dataclasses import dataclass
from pathlib import Path

from aggregator.commune.directory import CommuneDirectory


@dataclass(frozen=True, slots=True)
class Facts:
    """Of commune.toml. `genesis_sha256`: what everything that is signed here is bound to, in hex."""

    title: str
    origin: str
    trial: bool
    genesis_sha256: str
    vkey: str

    @classmethod
    def read(cls, directory: Path) -> "Facts":
        """Of a commune's directory; UserError names a mistake in it."""
        commune = CommuneDirectory(directory).load()
        return cls(commune.title, commune.origin, commune.trial, commune.genesis_sha256, commune.log_vkey)

    @property
    def genesis(self) -> bytes:
        """The same as bytes."""
        return bytes.fromhex(self.genesis_sha256)
