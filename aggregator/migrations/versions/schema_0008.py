"""Corrections of what was settled, and claims that wait until what was taken back is balanced."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, _KEY, primary_key=True, nullable=False, autoincrement=False)


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    """Add tables; nothing was corrected before."""
    op.create_table(
        "correction",
        _key("place"),
        *_numbers("start_s", "end_s", "energy_wh", "before_wh", "closing_s"),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("device", "digest")),
    )
    op.create_table(
        "corrected",
        sa.Column("device", sa.LargeBinary, primary_key=True, nullable=False),
        *(_key(name) for name in ("start_s", "source", "revision")),
        *_numbers("end_s", "energy_wh", "amount_mc", "place"),
        sa.Column("account", sa.LargeBinary, nullable=False),
    )
    op.create_table("owed_page", _key("page"), sa.Column("columns", sa.LargeBinary, nullable=False))
