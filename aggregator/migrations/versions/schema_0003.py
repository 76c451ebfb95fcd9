"""What accounts used of a policy's caps."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a table; no policy before had caps."""
    op.create_table(
        "cap_used",
        sa.Column("account", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column("what", sa.Text, primary_key=True),
        sa.Column("span", sa.Text, primary_key=True),
        sa.Column(
            "begins_s",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            nullable=False,
            autoincrement=False,
        ),
        sa.Column("amount_mc", sa.BigInteger, nullable=False),
    )
