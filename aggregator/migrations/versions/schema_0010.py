"""How much the second largest site stood for when an interval was closed: unknown of those before."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add two columns, empty for what is closed already."""
    for name in ("second_supply_wh", "second_demand_wh"):
        op.add_column("pool", sa.Column(name, sa.BigInteger))
