"""Readings that wait for their interval to close: put there with their evidence, taken when it closes.

They are a view of the evidence that no closing has taken yet.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from aggregator import schema
from aggregator.sql import insert_rows

Row = tuple[int, bytes, int, bytes, int, int]
"""time_s, device, seq, stored registers (registers.py), received_s, evidence_id."""

_INSERT = sa.insert(schema.reading)


def put(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Keep readings until their interval closes, in the transaction that keeps their blocks."""
    insert_rows(connection, _INSERT, rows)
