"""Labels of devices, and the claims of those who hold them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add two tables; nobody was enrolled this way before."""
    op.create_table(
        "label",
        sa.Column("device", sa.LargeBinary, primary_key=True),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("code_sha256", sa.LargeBinary, nullable=False),
        sa.Column("expires_s", sa.BigInteger, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("rated_power_w", sa.BigInteger, nullable=False),
        sa.Column("grade", sa.Text, nullable=False),
    )
    op.create_table(
        "device_claim",
        sa.Column("device", sa.LargeBinary, primary_key=True),
        sa.Column("signed", sa.LargeBinary, nullable=False),
        sa.Column("gateway", sa.LargeBinary, nullable=False),
        sa.Column("received_s", sa.BigInteger, nullable=False),
        sa.Column("rejected_why", sa.Text),
    )
