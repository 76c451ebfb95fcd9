"""What weather stations measured, for savings."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add a table; no weather was known before."""
    op.create_table(
        "weather",
        sa.Column("station", sa.Text, primary_key=True),
        sa.Column(
            "day",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            nullable=False,
            autoincrement=False,
        ),
        sa.Column("mean_dc", sa.BigInteger, nullable=False),
    )
