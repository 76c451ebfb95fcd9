"""The first schema. It was made without alembic, so there is nothing to run: databases that have it are stamped."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: see above."""
