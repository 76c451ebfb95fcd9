"""The first schema: a new store is made with it."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: no database is older."""
