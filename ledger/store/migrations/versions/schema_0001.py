"""The first schema: entries with their leaf hashes, balances, and what the database says of itself."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ISSUANCE = "00" * 16


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "entry",
        sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("entry_id", sa.LargeBinary, unique=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("place >= 0"),
    )
    is_issuance = {"sqlite": f"x'{_ISSUANCE}'", "postgresql": f"'\\x{_ISSUANCE}'::bytea"}[op.get_bind().dialect.name]
    op.create_table(
        "balance",
        sa.Column("account", sa.LargeBinary, primary_key=True),
        sa.Column("debits_mc", sa.BigInteger, nullable=False),
        sa.Column("credits_mc", sa.BigInteger, nullable=False),
        sa.CheckConstraint("debits_mc >= 0 AND credits_mc >= 0"),
        sa.CheckConstraint(f"credits_mc >= debits_mc OR account = {is_issuance}"),
    )
    op.execute("INSERT INTO meta (name, value) VALUES ('schema', '1')")
