"""The tables of the store. Who changes them adds a revision below migrations/; a test compares the two."""

from typing import NamedTuple

import sqlalchemy as sa

from ledger.book.kinds import ISSUANCE

SCHEMA = 1
"""The number of the last revision below migrations/versions."""

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

entry = sa.Table(
    "entry",
    metadata,
    sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("entry_id", sa.LargeBinary, unique=True),  # none for mint leaves
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("place >= 0"),
)

balance = sa.Table(
    "balance",
    metadata,
    sa.Column("account", sa.LargeBinary, primary_key=True),
    sa.Column("debits_mc", sa.BigInteger, nullable=False),
    sa.Column("credits_mc", sa.BigInteger, nullable=False),
    sa.CheckConstraint("debits_mc >= 0 AND credits_mc >= 0"),
    # Only the issuance account may owe; the engines spell bytes differently.
    sa.CheckConstraint(f"credits_mc >= debits_mc OR account = x'{ISSUANCE.hex()}'").ddl_if(dialect="sqlite"),
    sa.CheckConstraint(f"credits_mc >= debits_mc OR account = '\\x{ISSUANCE.hex()}'::bytea").ddl_if(
        dialect="postgresql"
    ),
)


class Row(NamedTuple):
    """One entry to store, in the order of the table's columns. `entry_id` is None for a mint leaf."""

    place: int
    entry_id: bytes | None
    data: bytes
    leaf_hash: bytes
