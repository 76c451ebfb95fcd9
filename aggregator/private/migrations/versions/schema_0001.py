"""The first schema: a new store is made with it, and what a private.toml had is put into it (legacy.py)."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: no database is older."""
