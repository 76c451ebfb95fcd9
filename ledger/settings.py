"""The settings of one ledger: DIR/ledger.toml, which need not be there."""

from pathlib import Path

from pydantic import Field

from commonwatt import settings
from ledger.store.engine import Engine, engine_for

FILE = "ledger.toml"
DATABASE = "ledger.db"


class LedgerSettings(settings.Settings):
    """What may differ from one commune to the next; every process that opens the ledger reads it."""

    store: str = Field(
        default="",
        description="sqlite:///PATH or postgresql://USER@HOST/DATABASE, where the entries lie; none: ledger.db",
    )

    def engine(self, directory: Path, *, pages_max: int | None = None) -> Engine:
        """Where the entries lie."""
        return engine_for(self.store or f"sqlite:///{directory / DATABASE}", pages_max=pages_max)


def load(directory: Path) -> LedgerSettings:
    """Read DIR/ledger.toml; UserError names the mistake."""
    path = directory / FILE
    return settings.load(LedgerSettings, path) if path.exists() else LedgerSettings()
