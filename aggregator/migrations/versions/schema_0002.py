"""What the log says about settling, who reviewed a hold, and how much one site stood for in an interval."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# The block that gave the held span's later reading: of those that have it, the one with the smaller seq.
_FILL_EVIDENCE = """
UPDATE held SET evidence_id = coalesce((
    SELECT id FROM evidence
    WHERE evidence.device = held.device AND evidence.start_s <= held.end_s AND evidence.end_s >= held.end_s
    ORDER BY seq LIMIT 1), 0)
"""


def upgrade() -> None:
    """Add a table and columns; what was not recorded before stays unknown."""
    op.create_table(
        "logged",
        sa.Column(
            "place",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            nullable=False,
            autoincrement=False,
        ),
        sa.Column("entry", sa.LargeBinary, nullable=False),
    )
    op.add_column("closing", sa.Column("log_size", sa.BigInteger, nullable=False, server_default="0"))
    for name in ("largest_supply_wh", "largest_demand_wh"):
        op.add_column("pool", sa.Column(name, sa.BigInteger))
    op.add_column("held", sa.Column("evidence_id", sa.BigInteger, nullable=False, server_default="0"))
    for name in ("review_place", "is_released"):
        op.add_column("held", sa.Column(name, sa.BigInteger))
    op.execute(_FILL_EVIDENCE)
