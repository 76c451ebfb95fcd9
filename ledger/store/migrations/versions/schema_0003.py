"""What changed since the pages of balances were written, in a table of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the new table; a ledger that is opened for the first time since has no changes beside its pages."""
    op.create_table(
        "balance_change",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
        ),
        sa.Column("accounts", sa.LargeBinary, nullable=False),
    )
