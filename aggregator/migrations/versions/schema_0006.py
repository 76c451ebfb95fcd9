"""What sites declared of themselves, and from when it counts."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a table; nothing was declared before."""
    op.create_table(
        "declared",
        sa.Column("site", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column(
            "from_s",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            nullable=False,
            autoincrement=False,
        ),
        *(sa.Column(name, sa.BigInteger) for name in ("installed_wp", "contracted_va")),
        *(sa.Column(name, sa.Float) for name in ("latitude", "longitude", "tilt_deg", "azimuth_deg")),
        sa.Column("storage_wh", sa.BigInteger),
        sa.Column("pvlib", sa.Text),
    )
