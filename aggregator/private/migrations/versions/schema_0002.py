"""What statistics were told of whom."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add two tables; before them nothing was told."""
    op.create_table(
        "told",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("cell", sa.Text, nullable=False),
        sa.Column("start_s", sa.BigInteger, nullable=False),
        sa.Column("end_s", sa.BigInteger, nullable=False, index=True),
        sa.Column("sites", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("cell", "start_s", "end_s"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "told_group",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("sites", sa.LargeBinary, nullable=False),
    )
