"""What accounts earned beside production and matching, and what homes are told of savings and shifting."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_FIGURES = ("end_s", "reason", "expected_wh", "used_wh", "credited_wh", "held_wh", "closing_s")


def upgrade() -> None:
    """Add tables; nothing was earned so before."""
    op.create_table(
        "earned",
        sa.Column("source", _KEY, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("thing", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column("start_s", _KEY, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("revision", _KEY, primary_key=True, nullable=False, autoincrement=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("end_s", "energy_wh", "amount_mc", "closing_s")
        ),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("account", "proof")),
    )
    op.create_table(
        "looked",
        sa.Column("source", _KEY, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("subject", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column("until_s", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "told",
        sa.Column("source", _KEY, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("site", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column("start_s", _KEY, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("revision", _KEY, primary_key=True, nullable=False, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _FIGURES),
    )
