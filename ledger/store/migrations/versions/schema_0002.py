"""Entries in pieces of up to 256, balances 32 accounts a row, ids of signed entries in a table of their own."""

import struct
from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_PIECE_ENTRIES = 256
_PAGE_ACCOUNTS = 32
_ACCOUNT = struct.Struct(">17sqq")


def upgrade() -> None:
    """Make the new tables, fill them from the old ones, drop those."""
    place = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    piece = op.create_table(
        "piece",
        sa.Column("first", place, primary_key=True, autoincrement=False),
        sa.Column("entry_count", sa.Integer, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        sa.Column("leaf_hashes", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("first >= 0 AND entry_count BETWEEN 1 AND 256"),
    )
    entry_id = op.create_table(
        "entry_id",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("place", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    _fill_pieces(connection, piece, entry_id)
    op.drop_table("entry")
    # In memory, as every ledger's accounts are; the new table gets the old one's name.
    rows = connection.execute(sa.text("SELECT account, debits_mc, credits_mc FROM balance ORDER BY account")).all()
    op.drop_table("balance")
    balance = op.create_table(
        "balance",
        sa.Column("page", place, primary_key=True, autoincrement=False),
        sa.Column("accounts", sa.LargeBinary, nullable=False),
    )
    for start in range(0, len(rows), _PAGE_ACCOUNTS):
        accounts = b"".join(_ACCOUNT.pack(*row) for row in rows[start : start + _PAGE_ACCOUNTS])
        connection.execute(sa.insert(balance), {"page": start // _PAGE_ACCOUNTS, "accounts": accounts})


def _fill_pieces(connection: sa.Connection, piece: sa.Table, entry_id: sa.Table) -> None:
    """Tile by tile, so that memory does not grow with the log; gaps stay gaps, and the opening finds them."""
    last = connection.scalar(sa.text("SELECT max(place) FROM entry"))
    query = sa.text(
        "SELECT place, entry_id, data, leaf_hash FROM entry WHERE place >= :first AND place < :end ORDER BY place"
    )
    for first in range(0, 0 if last is None else last + 1, _PIECE_ENTRIES):
        rows = connection.execute(query, {"first": first, "end": first + _PIECE_ENTRIES}).all()
        for _, group in groupby(enumerate(rows), key=lambda item: item[1].place - item[0]):
            part = [row for _index, row in group]
            values = {
                "first": part[0].place,
                "entry_count": len(part),
                "entries": b"".join(len(row.data).to_bytes(2, "big") + row.data for row in part),
                "leaf_hashes": b"".join(row.leaf_hash for row in part),
            }
            connection.execute(sa.insert(piece), values)
        ids = [{"id": row.entry_id, "place": row.place} for row in rows if row.entry_id is not None]
        if ids:
            connection.execute(sa.insert(entry_id), ids)
