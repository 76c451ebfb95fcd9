"""Evidence many blocks a row, chains a thousand devices a row; what is missing from chains has a table of its own."""

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

from commonwatt.evidence_page import Page, octets

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PAGE_BLOCKS = 16_384
_LARGE = 99
"""The level of pages that are not merged any more."""


def upgrade() -> None:
    """Make the tables, move every block and every gap, drop the tables of before."""
    _create()
    connection = op.get_bind()
    rows = iter(connection.execute(sa.text("SELECT * FROM evidence ORDER BY id")))
    while some := list(islice(rows, _PAGE_BLOCKS)):
        connection.execute(_INSERT_PAGE, _page(some).ordered().encode() | {"level": _LARGE})
    gaps = list(_gaps(connection))
    if gaps:
        connection.execute(_INSERT_GAP, gaps)
    op.drop_table("evidence")
    op.drop_table("chain")


def _create() -> None:
    def number(name: str, *, is_key: bool = False) -> sa.Column[int]:
        kind = _ID if is_key else sa.BigInteger()
        return sa.Column(name, kind, primary_key=is_key, nullable=False, autoincrement=False)

    def octets_(name: str, *, is_key: bool = False) -> sa.Column[bytes]:
        return sa.Column(name, sa.LargeBinary, primary_key=is_key, nullable=False)

    op.create_table(
        "evidence_page",
        sa.Column("page", _ID, primary_key=True, autoincrement=True),
        sa.Column("day", sa.BigInteger),
        number("level"),
        *(octets_("first_device"), octets_("last_device")),
        *map(number, ("start_s_min", "start_s_max", "end_s_max", "id_min", "id_max", "blocks")),
        *(octets_("places"), octets_("sha256")),
        sa.Column("signed", sa.LargeBinary),
        sqlite_autoincrement=True,
    )
    by_start = ["start_s_min", "start_s_max", "first_device", "last_device"]
    op.create_index("evidence_page_by_start", "evidence_page", by_start)
    op.create_index("evidence_page_by_id", "evidence_page", ["id_max", "id_min"])
    op.create_index("evidence_page_by_level", "evidence_page", ["day", "level"])
    op.create_table(
        "head_page",
        *(number("page", is_key=True), number("id_max")),
        *map(octets_, ("device", "seq", "link", "latest_s")),
    )
    op.create_table(
        "gap",
        *(octets_("device", is_key=True), number("first_seq", is_key=True), number("last_seq")),
        sqlite_with_rowid=False,
    )


def _page(rows: list[sa.Row[Any]]) -> Page:
    def integers(name: str) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows], dtype=np.int64)

    return Page(
        device=octets(row.device for row in rows),
        gateway=octets(row.gateway for row in rows),
        seq=integers("seq"),
        id=integers("id"),
        received_s=integers("received_s"),
        start_s=integers("start_s"),
        end_s=integers("end_s"),
        size=np.array([len(row.signed) for row in rows], dtype=np.int64),
        sha256=octets((row.sha256 for row in rows), 32),
        signed=b"".join(row.signed for row in rows),
    )


def _gaps(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    rows = connection.execute(sa.text("SELECT device, seq FROM evidence ORDER BY device, seq"))
    for device, places in groupby(rows, key=lambda row: row.device):
        expected = 0
        for row in places:
            if row.seq > expected:
                yield {"device": device, "first_seq": expected, "last_seq": row.seq - 1}
            expected = row.seq + 1


_columns = ("level", "first_device", "last_device", "start_s_min", "start_s_max", "end_s_max", "id_min", "id_max")
_INSERT_PAGE = sa.insert(
    sa.table("evidence_page", *map(sa.column, (*_columns, "blocks", "places", "sha256", "signed")))
)
_INSERT_GAP = sa.insert(sa.table("gap", *map(sa.column, ("device", "first_seq", "last_seq"))))
