"""The tables of the store. Who changes them adds a revision below migrations/; a test compares the two."""

from typing import NamedTuple

import sqlalchemy as sa

SCHEMA = 3
"""The number of the last revision below migrations/versions."""

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

_PLACE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

piece = sa.Table(
    "piece",
    metadata,
    sa.Column("first", _PLACE, primary_key=True, autoincrement=False),
    sa.Column("entry_count", sa.Integer, nullable=False),
    sa.Column("entries", sa.LargeBinary, nullable=False),
    sa.Column("leaf_hashes", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("first >= 0 AND entry_count BETWEEN 1 AND 256"),
)

entry_id = sa.Table(
    "entry_id",
    metadata,
    sa.Column("id", sa.LargeBinary, primary_key=True),
    sa.Column("place", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

balance = sa.Table(
    "balance",
    metadata,
    sa.Column("page", _PLACE, primary_key=True, autoincrement=False),
    sa.Column("accounts", sa.LargeBinary, nullable=False),
)

balance_change = sa.Table(
    "balance_change",
    metadata,
    sa.Column("number", _PLACE, primary_key=True, autoincrement=False),
    sa.Column("accounts", sa.LargeBinary, nullable=False),
)


class Row(NamedTuple):
    """One entry to store. `entry_id` is None for a mint leaf."""

    place: int
    entry_id: bytes | None
    data: bytes
    leaf_hash: bytes


class Damaged(Exception):  # noqa: N818 a finding; the store says what to do about it
    """The tables do not hold one whole log and its balances; `str` says what is wrong."""
